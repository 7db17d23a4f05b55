/** A thread that receives media dies, and its streams go on in another one. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import {
  type CaptureOptions,
  type MediaCapture,
  NoCaptureWorkerError,
  type StreamErrorEvent,
  type StreamSource,
  WorkerExitedError,
} from '../../../recorder-image/src/media/capture.ts';
import { JournalReader } from '../../../recorder-image/src/media/journal.ts';
import { segmentFile } from '../../../recorder-image/src/storage/journal-files.ts';
import { LOOPBACK, useCapture, withEachReceiver } from './capture-support.ts';
import { rtpPacket, useTemporaryDirectory } from './support.ts';

const inDirectory = useTemporaryDirectory();
const accept = [LOOPBACK];

const packetOf = (ssrc: number, sequence: number) =>
  rtpPacket({ ssrc, sequence, timestamp: sequence * 160, payload: Buffer.alloc(160, sequence) });
const voice = (sequence: number) => packetOf(7, sequence);

const journalled = (path: string): Buffer[] =>
  Array.from(new JournalReader(path).packets(), ({ packet }) => Buffer.from(packet));

withEachReceiver((receiver) => {
  const { bound, freeRange, send, start, seen } = useCapture(LOOPBACK, receiver);

  /** A capture that tells of what happens to its workers. */
  async function watched(options: Partial<CaptureOptions> = {}) {
    const exits: { streamIds: number[]; error: WorkerExitedError }[] = [];
    const errors: StreamErrorEvent[] = [];
    let replaced = Promise.withResolvers<number>();
    const capture = await start({
      onWorkerExit: (exit) => exits.push(exit),
      onWorkerReplaced: ({ streams }) => replaced.resolve(streams),
      onStreamError: (event) => errors.push(event),
      ...options,
    });
    /** Kills one; resolves with the number of streams that were opened again. */
    const crash = async (index = 0): Promise<number> => {
      replaced = Promise.withResolvers();
      await capture.crashWorker(index);
      return replaced.promise;
    };
    return { capture, exits, errors, crash };
  }

  describe('a worker that dies', () => {
    it('is replaced, and its streams go on, on the same ports and in new segments', async () => {
      const { capture, exits, crash } = await watched();
      const journals = ['a.rtpdump', 'b.rtpdump'].map(inDirectory);
      const streams = [];
      for (const journalPath of journals) streams.push(await capture.openStream({ journalPath, accept }));
      const sender = await bound();
      for (const { streamId, rtpPort } of streams) {
        await send(sender, voice(1), rtpPort);
        await seen(capture, streamId, 1);
      }
      expect(await crash()).toBe(2);
      expect(exits).toEqual([
        { streamIds: streams.map(({ streamId }) => streamId), error: expect.any(WorkerExitedError) },
      ]);

      for (const [index, { streamId, rtpPort }] of streams.entries()) {
        await send(sender, voice(2), rtpPort);
        await seen(capture, streamId, 1);
        await capture.updateStream(streamId, { accept: ['192.0.2.1'] });
        await send(sender, voice(3), rtpPort);
        await seen(capture, streamId, 2);
        expect(await capture.closeStream(streamId)).toMatchObject({ rtpPackets: 1, foreignPackets: 1 });
        expect(journalled(segmentFile(journals[index] as string, 2))).toEqual([voice(2)]);
      }
      expect(capture.freePorts()).toBe(4);
    });

    it('leaves the streams of the other workers alone', async () => {
      const { capture, crash } = await watched({ workers: 2 });
      await capture.openStream({ journalPath: inDirectory('a.rtpdump'), accept });
      const kept = await capture.openStream({ journalPath: inDirectory('b.rtpdump'), accept });
      expect(await crash()).toBe(1);
      await send(await bound(), voice(1), kept.rtpPort);
      await seen(capture, kept.streamId, 1);
      await capture.closeStream(kept.streamId);
      expect(journalled(inDirectory('b.rtpdump'))).toEqual([voice(1)]);
      expect(readdirSync(inDirectory('.')).sort()).toEqual(['a.2.rtpdump', 'a.rtpdump', 'b.rtpdump']);
    });

    it('applies the terms of an update that it could not take any more', async () => {
      const { capture, crash } = await watched();
      const stream = await capture.openStream({ journalPath: inDirectory('a.rtpdump'), accept });
      const crashed = crash();
      await capture.updateStream(stream.streamId, { accept: ['192.0.2.1'] });
      expect(await crashed).toBe(1);
      await send(await bound(), voice(1), stream.rtpPort);
      expect(await seen(capture, stream.streamId, 1)).toMatchObject({ foreignPackets: 1 });
    });

    it('lets a stream that it was opening be opened by the next', async () => {
      const { capture, exits } = await watched();
      const journalPath = inDirectory('a.rtpdump');
      execFileSync('mkfifo', [journalPath]);
      // The worker waits in open(2) until somebody reads the pipe, and dies before it can answer.
      const opening = capture.openStream({ journalPath, accept });
      const crashed = capture.crashWorker(0);
      const reader = openSync(journalPath, constants.O_RDONLY | constants.O_NONBLOCK);
      const { streamId, rtpPort } = await opening;
      await crashed;
      closeSync(reader);
      expect(exits).toEqual([{ streamIds: [], error: expect.any(WorkerExitedError) }]);
      await send(await bound(), voice(1), rtpPort);
      await seen(capture, streamId, 1);
      await capture.closeStream(streamId);
      expect(journalled(inDirectory('a.2.rtpdump'))).toEqual([voice(1)]);
      expect(capture.freePorts()).toBe(4);
    });

    it('so soon again is replaced after a while; there is none until then', async () => {
      const { capture, crash } = await watched();
      const journalPath = inDirectory('a.rtpdump');
      const { streamId } = await capture.openStream({ journalPath, accept });
      await crash();
      const replaced = crash();
      await capture.counters(); // answered by nobody
      expect(capture.workers).toBe(0);
      await expect(capture.openStream({ journalPath: inDirectory('b'), accept })).rejects.toThrow(
        NoCaptureWorkerError,
      );
      expect(await replaced).toBe(1);
      expect(await capture.closeStream(streamId)).toMatchObject({ rtpPackets: 0 });
      expect(journalled(segmentFile(journalPath, 3))).toEqual([]);
    });

    it('takes a stream with it whose port is gone, and says so', async () => {
      const { capture, errors } = await watched();
      const { streamId, rtpPort } = await capture.openStream({
        journalPath: inDirectory('a.rtpdump'),
        accept,
      });
      const crashed = capture.crashWorker(0);
      await takeAsSoonAsFree(rtpPort);
      await crashed;
      await expect(capture.closeStream(streamId)).rejects.toMatchObject({ code: 'EADDRINUSE' });
      expect(errors).toEqual([
        { streamId, kind: 'reopen', error: { code: 'EADDRINUSE', message: expect.any(String) } },
      ]);
    });

    /** A program that waits for the port; it is quicker than a new thread. */
    async function takeAsSoonAsFree(port: number): Promise<void> {
      for (;;)
        try {
          await bound(port);
          return;
        } catch (error) {
          expect((error as NodeJS.ErrnoException).code).toBe('EADDRINUSE');
        }
    }
  });

  describe('a stream of a recorder that died', () => {
    async function reopened(capture: MediaCapture, rtpPort: number, knownSsrcs: number[]) {
      const sources: StreamSource[] = [];
      const { streamId } = await capture.reopenStream({
        journalPath: inDirectory('a.rtpdump'),
        accept,
        rtpPort,
        knownSsrcs,
        onSource: (source) => sources.push(source),
      });
      return { streamId, sources };
    }

    it('takes nothing before a source that was known is heard, and all from then on', async () => {
      const { capture } = await watched();
      const first = await capture.openStream({ journalPath: inDirectory('a.rtpdump'), accept });
      await capture.closeStream(first.streamId);

      const { rtpPort } = first;
      const { streamId, sources } = await reopened(capture, rtpPort, [7, 8]);
      const sender = await bound();
      for (const ssrc of [9, 8, 9, 8]) await send(sender, packetOf(ssrc, 1), rtpPort);
      expect(await seen(capture, streamId, 4)).toMatchObject({ foreignPackets: 1, rtpPackets: 3 });
      await capture.closeStream(streamId);
      expect(journalled(inDirectory('a.2.rtpdump'))).toEqual([8, 9, 8].map((ssrc) => packetOf(ssrc, 1)));
      const { address, port } = sender.address();
      expect(sources).toEqual([8, 9].map((ssrc) => ({ ssrc, address, port })));
    });

    it('takes any source if none was known', async () => {
      const { capture } = await watched();
      const { rtpPort, streamId: first } = await capture.openStream({
        journalPath: inDirectory('a.rtpdump'),
        accept,
      });
      await capture.closeStream(first);
      const { streamId } = await reopened(capture, rtpPort, []);
      await send(await bound(), voice(1), rtpPort);
      expect(await seen(capture, streamId, 1)).toMatchObject({ rtpPackets: 1 });
    });

    it('has its port to itself, also outside the range, which may have changed since', async () => {
      const elsewhere = (await freeRange(1)).min;
      const { capture } = await watched({ portRange: await freeRange(2) });
      const { streamId } = await reopened(capture, elsewhere, []);
      expect(capture.freePorts()).toBe(2);
      await capture.closeStream(streamId);
      expect(capture.freePorts()).toBe(2);
    });
  });
});
