/** The addon at its boundary: whatever it is asked, the process goes on. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { refreshDevelopmentAddon } from '../../../../recorder-image/native/build.ts';
import {
  FIELD,
  FLAG,
  loadNativeAddon,
  type NativeAddon,
} from '../../../../recorder-image/src/media/receivers/native-addon.ts';
import { LOOPBACK, LOOPBACK_IPV6 } from '../capture-support.ts';

const noNative = refreshDevelopmentAddon();
const BUFFER_BYTES = 65_536;
/** A TypeError, of whatever realm. */
const INVALID = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });

(noNative ? describe.skip : describe)('the addon', () => {
  let addon: NativeAddon;
  let arena: Uint8Array;
  let facts: Int32Array;
  const opened: number[] = [];
  const senders: Socket[] = [];
  beforeAll(() => {
    addon = loadNativeAddon();
    arena = new Uint8Array(addon.batch * addon.slotBytes);
    facts = new Int32Array(addon.batch * addon.fields);
  });
  afterEach(() => {
    for (const socket of opened.splice(0)) addon.close(socket);
    for (const sender of senders.splice(0)) sender.close();
  });

  async function boundSender(address = LOOPBACK): Promise<Socket> {
    const sender = createSocket(address === LOOPBACK ? 'udp4' : 'udp6');
    sender.bind(0, address);
    await once(sender, 'listening');
    senders.push(sender);
    return sender;
  }

  /** A socket on a port that was free a moment ago. */
  async function open(address = LOOPBACK): Promise<{ socket: number; port: number }> {
    for (;;) {
      const probe = createSocket(address === LOOPBACK ? 'udp4' : 'udp6');
      probe.bind(0, address);
      await once(probe, 'listening');
      const { port } = probe.address();
      probe.close();
      await once(probe, 'close');
      const socket = addon.open(address, port, BUFFER_BYTES);
      if (socket < 0) continue;
      opened.push(socket);
      return { socket, port };
    }
  }

  const send = (sender: Socket, packet: Uint8Array, port: number, address = LOOPBACK): Promise<void> =>
    new Promise((resolve, reject) => {
      sender.send(packet, port, address, (error) => (error ? reject(error) : resolve()));
    });

  const fact = (n: number, field: keyof typeof FIELD): number =>
    facts[n * addon.fields + FIELD[field]] as number;

  it.each([LOOPBACK, LOOPBACK_IPV6])(
    'hands over what came to %s, with its source and its age',
    async (address) => {
      const { socket, port } = await open(address);
      const [first, second] = [await boundSender(address), await boundSender(address)];
      await send(first, Buffer.from('one'), port, address);
      await send(first, Buffer.from('second'), port, address);
      await send(second, Buffer.alloc(addon.slotBytes + 1), port, address);
      expect(addon.receive(arena, facts)).toBe(3);
      expect(Buffer.from(arena.subarray(addon.slotBytes, addon.slotBytes + 6)).toString()).toBe('second');
      const all = [0, 1, 2];
      expect(all.map((n) => fact(n, 'socket'))).toEqual([socket, socket, socket]);
      expect(all.map((n) => fact(n, 'length'))).toEqual([3, 6, addon.slotBytes + 1]);
      expect(all.map((n) => fact(n, 'flags'))).toEqual([FLAG.source, 0, FLAG.source]);
      expect(addon.sourceOf(0)).toEqual({ address, port: first.address().port });
      expect(addon.sourceOf(2)).toEqual({ address, port: second.address().port });
      expect(fact(0, 'ageMicros')).toBeGreaterThanOrEqual(fact(2, 'ageMicros'));
      expect(fact(0, 'ageMicros')).toBeLessThan(10_000_000);
      expect(addon.receive(arena, facts)).toBe(0);
      expect(() => addon.sourceOf(0)).toThrow(INVALID);
    },
  );

  it('takes no more than a batch at once, from all sockets in turn, and the rest the next time', async () => {
    const sender = await boundSender();
    const sockets = [];
    for (let count = 0; count < 6; count++) sockets.push(await open());
    const each = Math.ceil(addon.batch / 5); // within every buffer
    for (const { port } of sockets)
      for (let sent = 0; sent < each; sent++) await send(sender, Buffer.alloc(12), port);
    expect(addon.receive(arena, facts)).toBe(addon.batch);
    const taken = Array.from({ length: addon.batch }, (_, n) => fact(n, 'socket'));
    expect(new Set(taken)).toEqual(new Set(sockets.map(({ socket }) => socket)));
    expect(addon.receive(arena, facts)).toBe(6 * each - addon.batch);
    expect(sockets.map(({ socket }) => addon.drops(socket))).toEqual(Array(6).fill(0));
  });

  it('tells how many datagrams there was no room for, and where among those that came', async () => {
    const { socket, port } = await open();
    const sender = await boundSender();
    expect(addon.receiveBufferBytes(socket)).toBeGreaterThanOrEqual(BUFFER_BYTES);
    while (addon.drops(socket) < 7) await send(sender, Buffer.alloc(172), port);
    let count = 0;
    for (let taken = -1; taken !== 0; count += taken) taken = addon.receive(arena, facts);
    expect(count).toBeGreaterThan(0);
    await send(sender, Buffer.alloc(172), port);
    expect(addon.receive(arena, facts)).toBe(1);
    expect([fact(0, 'flags'), fact(0, 'drops')]).toEqual([FLAG.drops, 7]);
  });

  it('says what the system refuses, as an errno', async () => {
    const { port } = await open();
    const [EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT] = [-98, -99, -97];
    expect(addon.open(LOOPBACK, port, BUFFER_BYTES)).toBe(EADDRINUSE);
    expect(addon.open('192.0.2.1', port, BUFFER_BYTES)).toBe(EADDRNOTAVAIL);
    const [socket] = opened as [number];
    expect(addon.send(socket, Buffer.from('x'), LOOPBACK_IPV6, 9)).toBe(EAFNOSUPPORT);
    expect(addon.send(socket, Buffer.from('x'), 'example.com', 9)).toBe(EAFNOSUPPORT);
    expect(addon.send(socket, Buffer.alloc(70_000), LOOPBACK, 9)).toBeLessThan(0);
  });

  it('throws at wrong arguments of every kind', async () => {
    const { socket } = await open();
    const call = (name: keyof NativeAddon, ...values: unknown[]) =>
      (addon[name] as unknown as (...values: unknown[]) => unknown)(...values);
    const wrong = [undefined, null, -1, 1.5, Number.NaN, 2 ** 40, 'text', {}, [], Symbol('s'), () => 1, 10n];
    const calls: [keyof NativeAddon, unknown[]][] = [
      ['open', [LOOPBACK, 0, BUFFER_BYTES]],
      ['receive', [arena, facts]],
      ['sourceOf', [0]],
      ['drops', [socket]],
      ['receiveBufferBytes', [socket]],
      ['send', [socket, new Uint8Array(1), LOOPBACK, 9]],
      ['close', [socket]],
    ];
    for (const [name, right] of calls)
      for (let position = 0; position < right.length; position++) {
        // An address in text is none: the system says so.
        const values = wrong.filter((value) => name !== 'send' || position !== 2 || value !== 'text');
        for (const value of values) {
          expect(() => call(name, ...right.with(position, value))).toThrow(INVALID);
          expect(() => call(name, ...right.slice(0, position))).toThrow(INVALID);
        }
      }
    expect(() => addon.receive(arena.subarray(1), facts)).toThrow(INVALID);
    expect(() => addon.receive(arena, facts.subarray(1))).toThrow(INVALID);
    expect(() => addon.open('1'.repeat(1000), 0, BUFFER_BYTES)).toThrow(INVALID);
    expect(() => addon.open('127.0.0.1\0', 0, BUFFER_BYTES)).toThrow(INVALID);
    const closed = opened.pop() as number;
    addon.close(closed);
    expect(() => addon.close(closed)).toThrow(INVALID);
    expect(() => addon.drops(closed)).toThrow(INVALID);
  });

  it('forgets a buffer that has gone, and takes another', async () => {
    const { port } = await open();
    const sender = await boundSender();
    const other = arena.slice();
    addon.receive(other, facts);
    structuredClone(other, { transfer: [other.buffer] });
    await send(sender, Buffer.from('x'), port);
    expect(() => addon.receive(other, facts)).toThrow(INVALID);
    expect(addon.receive(arena, facts)).toBe(1);
  });

  it('closes the sockets of a thread that is ended', async () => {
    const { socket, port } = await open();
    addon.close(socket);
    opened.pop();
    const script = `
      import { parentPort } from 'node:worker_threads';
      import { loadNativeAddon } from '${import.meta.resolve('../../../../recorder-image/src/media/receivers/native-addon.ts')}';
      parentPort.postMessage(loadNativeAddon().open('${LOOPBACK}', ${port}, ${BUFFER_BYTES}));
      setInterval(() => {}, 1000);`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`));
    const [result] = await once(worker, 'message');
    expect(result).toBeGreaterThanOrEqual(0);
    expect(addon.open(LOOPBACK, port, BUFFER_BYTES)).toBeLessThan(0);
    await worker.terminate();
    opened.push(addon.open(LOOPBACK, port, BUFFER_BYTES));
    expect(opened[0]).toBeGreaterThanOrEqual(0);
  });
});
