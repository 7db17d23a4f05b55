/** Real sockets and a real capture for tests, on one loopback address; all is closed after each test. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { refreshDevelopmentAddon } from '../../../recorder-image/native/build.ts';
import {
  type CaptureOptions,
  MediaCapture,
  type PortRange,
  type ReceiverKind,
  type StreamCounters,
} from '../../../recorder-image/src/media/capture.ts';

export const LOOPBACK = '127.0.0.1';
export const LOOPBACK_IPV6 = '::1';

const noNative = refreshDevelopmentAddon();

/** The same tests with each receiver; with the native one where it can be compiled. */
export function withEachReceiver(tests: (receiver: ReceiverKind) => void): void {
  describe('with node:dgram', () => tests('dgram'));
  if (noNative === undefined) describe('with the native receiver', () => tests('native'));
  else describe.skip(`with the native receiver: ${noNative}`, () => tests('native'));
}

export function useCapture(loopback: string, receiver: ReceiverKind) {
  const captures: MediaCapture[] = [];
  const sockets: Socket[] = [];

  afterEach(async () => {
    await Promise.all(captures.splice(0).map((capture) => capture.stop()));
    for (const socket of sockets.splice(0)) socket.close();
  });

  async function bound(port = 0, address = loopback): Promise<Socket> {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    socket.bind(port, address);
    await once(socket, 'listening');
    sockets.push(socket);
    return socket;
  }

  function release(...released: Socket[]): void {
    for (const socket of released) {
      sockets.splice(sockets.indexOf(socket), 1);
      socket.close();
    }
  }

  /** A range of so many pairs that nobody uses. */
  async function freeRange(pairs: number): Promise<PortRange> {
    for (;;) {
      const held = [await bound()];
      const min = (held[0] as Socket).address().port;
      try {
        for (let port = min + 1; port < min + 2 * pairs; port++) held.push(await bound(port));
        if (min % 2 === 0) return { min, max: min + 2 * pairs - 1 };
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('EADDRINUSE');
      } finally {
        release(...held);
      }
    }
  }

  async function start(options: Partial<CaptureOptions> = {}): Promise<MediaCapture> {
    const capture = await MediaCapture.start({
      workers: 1,
      address: loopback,
      portRange: options.portRange ?? (await freeRange(4)),
      portRestMs: 0,
      receiver,
      onWorkerExit: ({ error }) => {
        throw error;
      },
      ...options,
    });
    captures.push(capture);
    return capture;
  }

  const send = (socket: Socket, packet: Buffer, port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      socket.send(packet, port, loopback, (error) => (error ? reject(error) : resolve()));
    });

  /** Waits until the stream has seen so many packets of any kind. */
  async function seen(capture: MediaCapture, streamId: number, packets: number): Promise<StreamCounters> {
    for (;;) {
      const counters = (await capture.counters()).get(streamId) as StreamCounters;
      const { rtpPackets, rtcpPackets, foreignPackets, malformedPackets } = counters;
      if (rtpPackets + rtcpPackets + foreignPackets + malformedPackets >= packets) return counters;
      await nextTurn();
    }
  }

  return { bound, freeRange, release, send, start, seen };
}
