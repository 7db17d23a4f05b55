/** Steady senders are read by turns, which must not be seen in what is handed over. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { MAX_PACKET_BYTES } from '../../../../recorder-image/src/media/journal.ts';
import { type DgramReceiver, dgramReceiver } from '../../../../recorder-image/src/media/receivers/dgram.ts';
import type { MediaSocket, Remote } from '../../../../recorder-image/src/media/receivers/receiver.ts';
import { udpHandleOf } from '../../../../recorder-image/src/media/receivers/udp-handle.ts';
import { until } from '../../../helpers/until.ts';
import { LOOPBACK, LOOPBACK_IPV6 } from '../capture-support.ts';
import { rtpPacket } from '../support.ts';

const STEADY = 40;
const [OURS, THEIRS] = [1, 2];

const voice = (ssrc: number, sequence: number, payload = Buffer.alloc(160, sequence)): Buffer =>
  rtpPacket({ ssrc, sequence, timestamp: sequence * 160, payload });

interface Taken {
  packet: Buffer;
  length: number;
  remote: Remote;
}

const sockets: Socket[] = [];
const opened: MediaSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  await Promise.all(opened.splice(0).map((socket) => socket.close()));
});

async function bound(address = LOOPBACK): Promise<Socket> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  sockets.push(socket);
  return socket;
}

/** A receiver with one socket, and two who send to it. */
async function start({ address = LOOPBACK, eventsUpTo = 0 }: { address?: string; eventsUpTo?: number } = {}) {
  const receiver = dgramReceiver({ address, onProgress() {} }, eventsUpTo);
  const probe = await bound(address);
  const { port } = probe.address();
  sockets.splice(sockets.indexOf(probe), 1);
  probe.close();
  await once(probe, 'close');
  const taken: Taken[] = [];
  const socket = await receiver.open(port, {
    onPacket: (packet, length, _, remote) =>
      taken.push({ packet: Buffer.from(packet.subarray(0, length)), length, remote }),
    onDrops: (packets) => {
      throw new Error(`${packets} dropped`);
    },
    onError: (error) => {
      throw new Error(JSON.stringify(error));
    },
  });
  opened.push(socket);
  const [us, them] = [await bound(address), await bound(address)];
  const send = (from: Socket, packet: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      from.send(packet, port, address, (error) => (error ? reject(error) : resolve()));
    });
  const sendOurs = async (from: number, count: number): Promise<void> => {
    for (let sequence = from; sequence < from + count; sequence++) await send(us, voice(OURS, sequence));
  };
  const seen = (count: number) => until(() => taken.length >= count);
  const remoteOf = (sender: Socket): Remote => {
    const { address: host, port: from } = sender.address();
    return { address: host, port: from };
  };
  return { receiver, socket, taken, us, them, send, sendOurs, seen, remoteOf };
}

const beTurns = (receiver: DgramReceiver, count: number) => until(() => receiver.byTurns === count);

const facts = (taken: Taken[]) =>
  taken.map(({ packet, remote: { address, port } }) => ({ packet, address, port }));

describe('a socket of node:dgram', () => {
  it('has the descriptor and the switch that reading by turns needs, in this version of Node', async () => {
    const socket = await bound();
    expect(udpHandleOf(socket)?.fd).toBeGreaterThan(2);
  });

  it.each([LOOPBACK, LOOPBACK_IPV6])(
    'at %s hands over what is read by turns as all else',
    async (address) => {
      const { receiver, taken, us, sendOurs, seen, remoteOf } = await start({ address });
      await sendOurs(0, STEADY);
      await beTurns(receiver, 1);
      await sendOurs(STEADY, STEADY);
      await seen(2 * STEADY);
      expect(receiver.byTurns).toBe(1);
      expect(facts(taken)).toEqual(
        Array.from({ length: 2 * STEADY }, (_, sequence) => ({
          packet: voice(OURS, sequence),
          ...remoteOf(us),
        })),
      );
      expect(receiver.packets).toBe(2 * STEADY);
    },
  );

  it('is read by events where there are few', async () => {
    const { receiver, sendOurs, seen } = await start({ eventsUpTo: 1 });
    await sendOurs(0, STEADY);
    await seen(STEADY);
    expect(receiver.byTurns).toBe(0);
  });

  it('tells of a new sender where it is, from its first packet on', async () => {
    const { receiver, taken, them, send, sendOurs, seen, remoteOf } = await start();
    await sendOurs(0, STEADY);
    await beTurns(receiver, 1);
    await send(them, voice(THEIRS, 0));
    await beTurns(receiver, 0);
    await send(them, voice(THEIRS, 1));
    await seen(STEADY + 2);
    expect(facts(taken.slice(STEADY))).toEqual(
      [0, 1].map((sequence) => ({ packet: voice(THEIRS, sequence), ...remoteOf(them) })),
    );
  });

  it('does not take a stray packet for one of the sender', async () => {
    const { receiver, taken, us, them, send, sendOurs, seen, remoteOf } = await start();
    await sendOurs(0, STEADY);
    await beTurns(receiver, 1);
    await send(them, voice(THEIRS, 0));
    await beTurns(receiver, 0);
    await sendOurs(STEADY, STEADY);
    await seen(2 * STEADY + 1);
    const theirs = taken.filter(({ packet }) => packet.equals(voice(THEIRS, 0)));
    expect(theirs.map(({ remote }) => remote)).toEqual([{ address: '0.0.0.0', port: 0 }]);
    const ours = taken.filter((one) => !theirs.includes(one));
    expect(facts(ours)).toEqual(
      Array.from({ length: 2 * STEADY }, (_, sequence) => ({
        packet: voice(OURS, sequence),
        ...remoteOf(us),
      })),
    );
  });

  it('goes back to events when nothing comes any more, and hears what comes then', async () => {
    const { receiver, sendOurs, seen } = await start();
    await sendOurs(0, STEADY);
    await beTurns(receiver, 1);
    await beTurns(receiver, 0);
    await sendOurs(STEADY, 1);
    await seen(STEADY + 1);
  });

  it('hands over all that has come when it is drained, and a packet of nobody known last', async () => {
    const { receiver, socket, taken, them, send, sendOurs } = await start();
    await sendOurs(0, STEADY);
    await beTurns(receiver, 1);
    await sendOurs(STEADY, STEADY);
    await send(them, voice(THEIRS, 0));
    await receiver.drain([socket]);
    expect(taken).toHaveLength(2 * STEADY + 1);
    expect(taken.at(-1)).toMatchObject({ packet: voice(THEIRS, 0), remote: { address: '0.0.0.0' } });
    expect(receiver.byTurns).toBe(0);
  });

  it('shows what is too long, and what is empty', async () => {
    const { receiver, taken, us, send, sendOurs, seen } = await start();
    await sendOurs(0, STEADY);
    await beTurns(receiver, 1);
    await send(us, voice(OURS, 0, Buffer.alloc(MAX_PACKET_BYTES)));
    await seen(STEADY + 1);
    expect(taken.at(-1)?.length).toBe(MAX_PACKET_BYTES + 1);
    await send(us, Buffer.alloc(0));
    await beTurns(receiver, 0);
    await sendOurs(0, STEADY);
    await seen(2 * STEADY + 2);
    expect(taken.filter(({ length }) => length === 0)).toHaveLength(1);
  });

  it('lets go of its descriptor when it is closed', async () => {
    const { receiver, socket, sendOurs } = await start();
    await sendOurs(0, STEADY);
    await beTurns(receiver, 1);
    await socket.close();
    opened.splice(0);
    expect(receiver.byTurns).toBe(0);
  });
});
