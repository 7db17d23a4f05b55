import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, statSync } from 'node:fs';
import { watch } from 'node:fs/promises';
import {
  InvalidAddressRuleError,
  type MediaCapture,
  NoCaptureWorkerError,
  NoPortsError,
  type StreamErrorEvent,
  StreamNotOpenError,
  WorkerCallError,
} from '../../../recorder-image/src/media/capture.ts';
import { JournalReader, MAX_PACKET_BYTES } from '../../../recorder-image/src/media/journal.ts';
import { until } from '../../helpers/until.ts';
import { LOOPBACK, useCapture, withEachReceiver } from './capture-support.ts';
import { rtcpPacket, rtpPacket, useTemporaryDirectory } from './support.ts';

const inDirectory = useTemporaryDirectory();
const accept = [LOOPBACK];

const journalled = (path: string) =>
  Array.from(new JournalReader(path).packets(), ({ rtcp, packet }) => ({
    rtcp,
    packet: Buffer.from(packet),
  }));

const voice = (sequence: number) =>
  rtpPacket({ sequence, timestamp: sequence * 160, payload: Buffer.alloc(160, 1) });

withEachReceiver((receiver) => {
  const { bound, freeRange, send, start, seen } = useCapture(LOOPBACK, receiver);

  describe('a stream', () => {
    it('has its RTP and RTCP in the journal, with arrival times, when it is closed', async () => {
      const capture = await start();
      const journalPath = inDirectory('a.rtpdump');
      const { streamId, rtpPort, rtcpPort, receiveBufferBytes } = await capture.openStream({
        journalPath,
        accept,
      });
      expect(rtpPort % 2).toBe(0);
      expect(rtcpPort).toBe(rtpPort + 1);
      expect(receiveBufferBytes).toBeGreaterThanOrEqual(64 * 1024);

      const sender = await bound();
      const before = Date.now();
      await send(sender, voice(1), rtpPort);
      await send(sender, rtcpPacket(), rtcpPort);
      await seen(capture, streamId, 2);
      await send(sender, voice(2), rtpPort);
      const counters = await capture.closeStream(streamId);
      const after = Date.now();

      expect(journalled(journalPath)).toEqual([
        { rtcp: false, packet: voice(1) },
        { rtcp: true, packet: rtcpPacket() },
        { rtcp: false, packet: voice(2) },
      ]);
      expect(counters).toEqual({
        rtpPackets: 2,
        rtcpPackets: 1,
        foreignPackets: 0,
        malformedPackets: 0,
        bytes: 2 * 172 + 8,
        firstPacketAt: expect.any(Number),
        lastPacketAt: expect.any(Number),
        lostPackets: 0,
        jitterMs: expect.any(Number),
        rtcpReports: 0,
      });
      const reader = new JournalReader(journalPath);
      const arrivals = Array.from(reader.packets(), ({ arrivalMs }) => arrivalMs);
      expect(reader.header).toMatchObject({ address: LOOPBACK, port: rtpPort });
      for (const time of [...arrivals, counters.firstPacketAt as number, counters.lastPacketAt as number]) {
        expect(time).toBeGreaterThanOrEqual(before - 2);
        expect(time).toBeLessThanOrEqual(after + 2);
      }
    });

    it('takes in what has reached the kernel before it closes', async () => {
      const capture = await start();
      const journalPath = inDirectory('a.rtpdump');
      const { streamId, rtpPort } = await capture.openStream({ journalPath, accept });
      const sender = await bound();
      await Promise.all(Array.from({ length: 200 }, (_, index) => send(sender, voice(index), rtpPort)));
      const { rtpPackets } = await capture.closeStream(streamId);
      expect(rtpPackets).toBe(200);
      expect(journalled(journalPath)).toHaveLength(200);
    });

    it('records RTCP that shares the RTP port', async () => {
      const capture = await start();
      const journalPath = inDirectory('a.rtpdump');
      const { streamId, rtpPort } = await capture.openStream({ journalPath, accept });
      await send(await bound(), rtcpPacket(), rtpPort);
      expect(await capture.closeStream(streamId)).toMatchObject({ rtpPackets: 0, rtcpPackets: 1 });
      expect(journalled(journalPath)).toEqual([{ rtcp: true, packet: rtcpPacket() }]);
    });

    it('counts what strangers send, and what is not media, and records none of it', async () => {
      const capture = await start();
      const journalPath = inDirectory('a.rtpdump');
      const { streamId, rtpPort, rtcpPort } = await capture.openStream({
        journalPath,
        accept: ['127.0.0.2/32'],
      });
      const [stranger, source] = [await bound(), await bound(0, '127.0.0.2')];
      await send(stranger, voice(7), rtpPort);
      await send(stranger, rtcpPacket(), rtcpPort);
      await send(source, voice(1), rtpPort);
      await send(source, Buffer.from('neither of both'), rtpPort);
      await send(source, rtpPacket({ payload: Buffer.alloc(MAX_PACKET_BYTES) }), rtpPort);
      await send(source, Buffer.alloc(0), rtcpPort);
      await send(stranger, voice(8), rtpPort);
      expect(await capture.closeStream(streamId)).toMatchObject({
        rtpPackets: 1,
        rtcpPackets: 0,
        foreignPackets: 3,
        malformedPackets: 3,
      });
      expect(journalled(journalPath)).toEqual([{ rtcp: false, packet: voice(1) }]);
    });

    it('has its packets in the file within a second', async () => {
      const capture = await start();
      const journalPath = inDirectory('a.rtpdump');
      const { rtpPort } = await capture.openStream({ journalPath, accept });
      const sender = await bound();
      const watching = new AbortController();
      const changes = watch(journalPath, { signal: watching.signal })[Symbol.asyncIterator]();
      const changed = changes.next();
      const sentAt = performance.now();
      await send(sender, voice(1), rtpPort);
      await changed;
      expect(performance.now() - sentAt).toBeLessThan(1000);
      expect(journalled(journalPath)).toHaveLength(1);
      watching.abort();
      await expect(changes.next()).rejects.toThrow('aborted');
    });

    it('is not mixed up with others', async () => {
      const capture = await start({ workers: 2 });
      const sender = await bound();
      const opened = await Promise.all(
        ['a', 'b', 'c'].map((name) => capture.openStream({ journalPath: inDirectory(name), accept })),
      );
      for (const [index, { rtpPort }] of opened.entries()) await send(sender, voice(index), rtpPort);
      for (const { streamId } of opened) await capture.closeStream(streamId);
      const sequences = ['a', 'b', 'c'].map((name) =>
        journalled(inDirectory(name)).map(({ packet }) => packet),
      );
      expect(sequences).toEqual([[voice(0)], [voice(1)], [voice(2)]]);
    });

    it('is known no longer once it is closed', async () => {
      const capture = await start();
      const { streamId } = await capture.openStream({ journalPath: inDirectory('a'), accept });
      await capture.closeStream(streamId);
      await expect(capture.closeStream(streamId)).rejects.toThrow(StreamNotOpenError);
      expect((await capture.counters()).size).toBe(0);
    });
  });

  describe('the journal', () => {
    it('that cannot be created refuses the stream, and gives back the ports', async () => {
      const capture = await start({ portRange: await freeRange(1) });
      const attempts = [
        { journalPath: '/dev/full', code: 'ENOSPC' },
        { journalPath: inDirectory('missing/a.rtpdump'), code: 'ENOENT' },
      ];
      for (const { journalPath, code } of attempts) {
        const opening = capture.openStream({ journalPath, accept });
        await expect(opening).rejects.toThrow(WorkerCallError);
        await expect(opening).rejects.toMatchObject({ code });
        expect(capture.freePorts()).toBe(1);
      }
      await expect(capture.openStream({ journalPath: inDirectory('a'), accept })).resolves.toBeDefined();
    });

    it('that cannot be written any more is reported once and marked', async () => {
      const events: StreamErrorEvent[] = [];
      const capture = await start({ onStreamError: (event) => events.push(event) });
      const journalPath = inDirectory('pipe');
      execFileSync('mkfifo', [journalPath]);
      const reader = openSync(journalPath, constants.O_RDONLY | constants.O_NONBLOCK);
      const { streamId, rtpPort } = await capture.openStream({ journalPath, accept });
      closeSync(reader);
      const sender = await bound();
      await send(sender, voice(1), rtpPort);
      let counters = await seen(capture, streamId, 1);
      while (counters.writeError === undefined) counters = await seen(capture, streamId, 1);
      await send(sender, voice(2), rtpPort);
      counters = await capture.closeStream(streamId);
      expect(counters).toMatchObject({ rtpPackets: 2, writeError: { code: 'EPIPE' } });
      expect(events).toEqual([{ streamId, kind: 'write', error: counters.writeError }]);
    });
  });

  describe('ports', () => {
    it('run out with an error, and come back', async () => {
      const portRange = await freeRange(2);
      const capture = await start({ portRange });
      expect(capture.freePorts()).toBe(2);
      const first = await capture.openStream({ journalPath: inDirectory('a'), accept });
      const second = await capture.openStream({ journalPath: inDirectory('b'), accept });
      expect([first.rtpPort, second.rtpPort]).toEqual([portRange.min, portRange.min + 2]);
      expect(capture.freePorts()).toBe(0);
      await expect(capture.openStream({ journalPath: inDirectory('c'), accept })).rejects.toThrow(
        NoPortsError,
      );
      await capture.closeStream(first.streamId);
      expect(capture.freePorts()).toBe(1);
      const third = await capture.openStream({ journalPath: inDirectory('c'), accept });
      expect(third.rtpPort).toBe(first.rtpPort);
    });

    it('of finished calls are not used again at once', async () => {
      const capture = await start({ portRange: await freeRange(3) });
      const used: number[] = [];
      for (const name of ['a', 'b', 'c']) {
        const { streamId, rtpPort } = await capture.openStream({ journalPath: inDirectory(name), accept });
        await capture.closeStream(streamId);
        used.push(rtpPort);
      }
      expect(new Set(used).size).toBe(3);
    });

    it('that another program has are passed over', async () => {
      const portRange = await freeRange(3);
      await bound(portRange.min);
      await bound(portRange.min + 3);
      const capture = await start({ portRange });
      const { rtpPort } = await capture.openStream({ journalPath: inDirectory('a'), accept });
      expect(rtpPort).toBe(portRange.min + 4);
      await expect(capture.openStream({ journalPath: inDirectory('b'), accept })).rejects.toThrow(
        NoPortsError,
      );
      expect(capture.freePorts()).toBe(2);
    });

    it('on an address that is not ours are refused with the reason', async () => {
      const capture = await start({ address: '192.0.2.1' });
      const opening = capture.openStream({ journalPath: inDirectory('a'), accept });
      await expect(opening).rejects.toMatchObject({ name: 'WorkerCallError', code: 'EADDRNOTAVAIL' });
      expect(capture.freePorts()).toBe(4);
    });
  });

  describe('what is asked wrongly', () => {
    it('is refused before anything is opened', async () => {
      const capture = await start();
      const opening = capture.openStream({ journalPath: inDirectory('a'), accept: ['example.com'] });
      await expect(opening).rejects.toThrow(InvalidAddressRuleError);
      expect(capture.freePorts()).toBe(4);
      await expect(start({ workers: 0 })).rejects.toThrow(RangeError);
      await expect(start({ portRange: { min: 5, max: 5 } })).rejects.toThrow(RangeError);
    });
  });

  describe('a worker that is held up', () => {
    /** Opening a pipe waits until somebody reads it: so does the worker, with all its streams. */
    async function holdUp(capture: MediaCapture): Promise<{ release: () => Promise<void> }> {
      const path = inDirectory('held-up');
      execFileSync('mkfifo', [path]);
      const opening = capture.openStream({ journalPath: path, accept });
      return {
        async release() {
          const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
          const { streamId } = await opening;
          await capture.closeStream(streamId);
          closeSync(reader);
        },
      };
    }

    it('loses what the kernel has no room for, which is told of that stream and of no other', async () => {
      const before = Date.now();
      const capture = await start({ maxStallMs: 60_000 });
      const [flooded, other] = [
        await capture.openStream({ journalPath: inDirectory('flooded'), accept }),
        await capture.openStream({ journalPath: inDirectory('other'), accept }),
      ];
      const sender = await bound();
      await send(sender, voice(1), flooded.rtpPort);
      await send(sender, voice(1), other.rtpPort);
      await Promise.all([seen(capture, flooded.streamId, 1), seen(capture, other.streamId, 1)]);
      const { release } = await holdUp(capture);
      // The kernel books more for a datagram than it holds.
      const sent = 2 + Math.ceil(flooded.receiveBufferBytes / 1000);
      for (let sequence = 2; sequence <= sent; sequence++)
        await send(sender, rtpPacket({ sequence, payload: Buffer.alloc(1000) }), flooded.rtpPort);
      await send(sender, voice(2), other.rtpPort);
      expect(capture.isOverloaded()).toBe(false);
      await release();

      const { rtpPackets, drops = [] } = await capture.closeStream(flooded.streamId);
      expect(drops).toHaveLength(1);
      expect(capture.drops()).toBe(drops[0]?.packets);
      const [{ fromMs, toMs, packets } = { fromMs: 0, toMs: 0, packets: 0 }] = drops;
      expect(packets).toBeGreaterThan(0);
      expect(rtpPackets + packets).toBe(sent);
      expect(fromMs).toBeGreaterThanOrEqual(before - 2);
      expect(toMs).toBeGreaterThanOrEqual(fromMs);
      expect(toMs).toBeLessThanOrEqual(Date.now() + 2);
      expect(await capture.closeStream(other.streamId)).toMatchObject({ rtpPackets: 2, lostPackets: 0 });
      expect((await capture.counters()).size).toBe(0);
      expect(capture.isOverloaded()).toBe(true);
    });

    it('shows as overloaded although it cannot answer, and for a while after', async () => {
      const capture = await start({ maxStallMs: 150 });
      const stream = await capture.openStream({ journalPath: inDirectory('a'), accept });
      const { release } = await holdUp(capture);
      await until(() => capture.isOverloaded());
      const sender = await bound();
      for (let sequence = 0; sequence < 50; sequence++) await send(sender, voice(sequence), stream.rtpPort);
      await release();
      const { rtpPackets, drops } = await capture.closeStream(stream.streamId);
      expect([rtpPackets, drops]).toEqual([50, undefined]);
      expect(capture.isOverloaded()).toBe(true);
    });
  });

  describe('stop', () => {
    it('completes the journals and lets go the ports', async () => {
      const capture = await start();
      const journalPath = inDirectory('a');
      const { streamId, rtpPort, rtcpPort } = await capture.openStream({ journalPath, accept });
      await send(await bound(), voice(1), rtpPort);
      await seen(capture, streamId, 1);
      expect(statSync(journalPath).size).toBeLessThan(100);
      await capture.stop();
      expect(journalled(journalPath)).toHaveLength(1);
      expect(readFileSync(journalPath).length).toBe(statSync(journalPath).size);
      await bound(rtpPort);
      await bound(rtcpPort);
      await expect(capture.openStream({ journalPath: inDirectory('b'), accept })).rejects.toThrow(
        NoCaptureWorkerError,
      );
      await expect(capture.closeStream(streamId)).rejects.toThrow(StreamNotOpenError);
    });
  });
});
