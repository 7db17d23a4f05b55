/** What the recorder says back, and what it bears from a sender, over IPv4 and IPv6. */
import { createSecretKey, randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { on, once } from 'node:events';
import { assemble } from '../../../recorder-image/src/media/assemble.ts';
import {
  type MediaCapture,
  type StreamCounters,
  StreamNotOpenError,
} from '../../../recorder-image/src/media/capture.ts';
import { SrtpReceiver } from '../../../recorder-image/src/media/srtp.ts';
import { LOOPBACK, LOOPBACK_IPV6, useCapture, withEachReceiver } from './capture-support.ts';
import {
  readWav,
  rtcpBye,
  rtcpPacket,
  rtpPacket,
  senderReport,
  speech,
  useTemporaryDirectory,
} from './support.ts';

const inDirectory = useTemporaryDirectory();

const RTCP_INTERVAL_MS = 40;
const SSRC = 0x1234;
/** In the scale of the delay since the last sender report. */
const SECOND = 65_536;

const voice = (sequence: number, ssrc = SSRC) =>
  rtpPacket({ sequence, timestamp: sequence * 160, ssrc, payload: speech(1, 160 * sequence, 160) });

/** The next packet that comes to a socket. */
async function nextPacket(socket: Socket): Promise<{ packet: Buffer; port: number }> {
  const [packet, { port }] = await once(socket, 'message');
  return { packet, port };
}

const blockCount = (report: Buffer): number => (report[0] as number) & 0x1f;

/** The first block of a receiver report. */
const block = (report: Buffer) => ({
  type: report[1],
  ssrc: report.readUInt32BE(8),
  cumulativeLost: report.readIntBE(13, 3),
  highest: report.readUInt32BE(16),
  lastSenderReport: report.readUInt32BE(24),
  delay: report.readUInt32BE(28),
});

withEachReceiver((receiver) => {
  describe.each([LOOPBACK, LOOPBACK_IPV6])('on %s', (loopback) => {
    const { bound, send, start, seen } = useCapture(loopback, receiver);
    const accept = [loopback];

    const countersWhen = async (
      capture: MediaCapture,
      streamId: number,
      isSo: (counters: StreamCounters) => boolean,
    ): Promise<StreamCounters> => {
      for (;;) {
        const counters = (await capture.counters()).get(streamId) as StreamCounters;
        if (isSo(counters)) return counters;
      }
    };

    it('a recording goes from the socket to the file', async () => {
      const capture = await start();
      const journalPath = inDirectory('a.rtpdump');
      const { streamId, rtpPort } = await capture.openStream({ journalPath, accept });
      const sender = await bound();
      for (let sequence = 0; sequence < 10; sequence++) await send(sender, voice(sequence), rtpPort);
      expect(await capture.closeStream(streamId)).toMatchObject({ rtpPackets: 10, foreignPackets: 0 });
      const { audio } = await assemble({
        outPath: inDirectory('a.wav'),
        streams: [{ label: 'a', journalPaths: [journalPath], codecs: new Map([[0, 'PCMU']]) }],
      });
      expect(audio).toMatchObject({ durationMs: 200, encoding: 'pcmu' });
      expect(readWav(inDirectory('a.wav')).data).toEqual(speech(1, 0, 1600));
    });

    it('reports go to where RTCP comes from, and tell of loss and of the last sender report', async () => {
      const capture = await start({ rtcpIntervalMs: RTCP_INTERVAL_MS });
      const { streamId, rtpPort, rtcpPort } = await capture.openStream({
        journalPath: inDirectory('a'),
        accept,
      });
      const [media, control] = [await bound(), await bound()];
      const reports = on(control, 'message');
      await send(control, senderReport(SSRC, 0xaaaa_bbbb), rtcpPort);
      await seen(capture, streamId, 1);
      for (const sequence of [1, 2, 5, 6]) await send(media, voice(sequence), rtpPort);
      await seen(capture, streamId, 5);
      // Known only now: before any media, nothing said which sender this is.
      await send(control, senderReport(SSRC, 0xaaaa_cccc), rtcpPort);
      await seen(capture, streamId, 6);
      await send(media, voice(7), rtpPort);
      // One or more, as they fall due; the last tells of all, and after it there is nothing new.
      let told: ReturnType<typeof block> | undefined;
      for await (const [packet, { port }] of reports) {
        expect(port).toBe(rtcpPort);
        // The source description follows at once (RFC 3550 6.1).
        expect(packet[8 + 24 * blockCount(packet) + 1]).toBe(202);
        if (told?.highest === 7) {
          expect(blockCount(packet)).toBe(0);
          break;
        }
        if (blockCount(packet) === 1) told = block(packet);
      }
      expect(told).toMatchObject({
        type: 201,
        ssrc: SSRC,
        cumulativeLost: 2,
        highest: 7,
        lastSenderReport: 0xaaaa_cccc,
      });
      expect(told?.delay).toBeLessThan(2 * SECOND);
      const counters = await capture.closeStream(streamId);
      expect(counters).toMatchObject({ lostPackets: 2, rtpPackets: 5, rtcpPackets: 2 });
      expect(counters.rtcpReports).toBeGreaterThanOrEqual(2);
      expect(counters.reportError).toBeUndefined();
    });

    it('reports go to the address of the SDP until RTCP comes', async () => {
      const capture = await start({ rtcpIntervalMs: RTCP_INTERVAL_MS });
      const [media, named, other] = [await bound(), await bound(), await bound()];
      const peer = { address: loopback, port: named.address().port };
      const { rtpPort, rtcpPort } = await capture.openStream({
        journalPath: inDirectory('a'),
        accept,
        rtcp: { peer },
      });
      const reported = nextPacket(named);
      await send(media, voice(1), rtpPort);
      expect(block((await reported).packet)).toMatchObject({ type: 201, ssrc: SSRC, highest: 1 });
      const reportedToOther = nextPacket(other);
      await send(other, rtcpPacket(), rtcpPort);
      expect((await reportedToOther).port).toBe(rtcpPort);
    });

    it('RTCP on the port of RTP is answered from there', async () => {
      const capture = await start({ rtcpIntervalMs: RTCP_INTERVAL_MS });
      const { rtpPort } = await capture.openStream({ journalPath: inDirectory('a'), accept });
      const both = await bound();
      const reported = nextPacket(both);
      await send(both, rtcpPacket(), rtpPort);
      await send(both, voice(1), rtpPort);
      expect((await reported).port).toBe(rtpPort);
    });

    it('no report goes out before media, or to an address without media', async () => {
      const capture = await start({ rtcpIntervalMs: RTCP_INTERVAL_MS });
      const [media, elsewhere, control] = [await bound(), await bound(), await bound()];
      const open = (name: string, rtcp = {}) =>
        capture.openStream({ journalPath: inDirectory(name), accept, rtcp });
      const silent = await open('silent', { peer: { address: loopback, port: elsewhere.address().port } });
      const misled = await open('misled', { peer: { address: '192.0.2.7', port: elsewhere.address().port } });
      const normal = await open('normal');
      await send(control, rtcpPacket(), silent.rtcpPort);
      await send(media, voice(1), misled.rtpPort);
      await seen(capture, misled.streamId, 1);
      await send(control, rtcpPacket(), normal.rtcpPort);
      await send(media, voice(1), normal.rtpPort);
      // All are looked at in one turn: the others have been due three times as well.
      await countersWhen(capture, normal.streamId, ({ rtcpReports }) => rtcpReports >= 3);
      for (const { streamId } of [silent, misled])
        expect(await capture.closeStream(streamId)).toMatchObject({ rtcpReports: 0 });
    });

    it('reports of an encrypted stream are encrypted, and go on under one index when the offer is renewed', async () => {
      const capture = await start({ rtcpIntervalMs: RTCP_INTERVAL_MS });
      const [media, control] = [await bound(), await bound()];
      const suite = 'AES_CM_128_HMAC_SHA1_80' as const;
      const srtcp = { tag: 1, suite, keyAndSalt: createSecretKey(randomBytes(30)) };
      const { streamId, rtpPort, rtcpPort } = await capture.openStream({
        journalPath: inDirectory('encrypted'),
        accept,
        rtcp: { srtcp },
      });
      await send(control, rtcpBye(SSRC), rtcpPort); // not under any key: kept, and not believed
      await send(media, voice(1), rtpPort);
      const receiver = new SrtpReceiver({
        suite,
        masterKeys: [{ keyAndSalt: srtcp.keyAndSalt }],
        keyDerivationRateBits: 0,
      });
      const indexes: number[] = [];
      for (const renewed of [false, true]) {
        if (renewed) await capture.updateStream(streamId, { accept, rtcp: { srtcp: { ...srtcp } } });
        await send(control, rtcpBye(SSRC), rtcpPort);
        const { packet } = await nextPacket(control);
        indexes.push(packet.readUInt32BE(packet.length - 14) & 0x7fffffff);
        expect(receiver.unprotect(packet, true)).toBeInstanceOf(Uint8Array);
      }
      expect(indexes[1]).toBeGreaterThan(indexes[0] as number);
      expect((await capture.closeStream(streamId)).rtcpByeAt).toBeUndefined();
    });

    it('a BYE is noted, and the source is no more in the reports', async () => {
      const capture = await start({ rtcpIntervalMs: RTCP_INTERVAL_MS });
      const { streamId, rtpPort, rtcpPort } = await capture.openStream({
        journalPath: inDirectory('a'),
        accept,
      });
      const [media, control] = [await bound(), await bound()];
      await send(media, voice(1), rtpPort);
      await seen(capture, streamId, 1);
      await send(control, rtcpBye(SSRC), rtcpPort);
      expect(blockCount((await nextPacket(control)).packet)).toBe(0);
      const { rtcpByeAt, lastPacketAt } = await capture.closeStream(streamId);
      expect(rtcpByeAt).toBeGreaterThanOrEqual(lastPacketAt as number);
    });

    it('a sender may start late, change its port and its SSRC, and never start at all', async () => {
      const capture = await start();
      const journalPath = inDirectory('a');
      const { streamId, rtpPort } = await capture.openStream({ journalPath, accept });
      const never = await capture.openStream({ journalPath: inDirectory('never'), accept });
      const [first, second] = [await bound(), await bound()];
      await send(first, voice(1), rtpPort);
      await send(first, voice(2), rtpPort);
      await seen(capture, streamId, 2);
      await send(second, voice(3), rtpPort);
      await send(second, voice(4, 0xbeef), rtpPort);
      expect(await capture.closeStream(streamId)).toMatchObject({ rtpPackets: 4, lostPackets: 0 });
      const silent = await capture.closeStream(never.streamId);
      expect(silent).toMatchObject({ rtpPackets: 0, lostPackets: 0, jitterMs: 0 });
      expect(silent.firstPacketAt).toBeUndefined();
      const { streams } = await assemble({
        outPath: inDirectory('a.wav'),
        streams: [journalPath, inDirectory('never')].map((path) => ({
          label: path,
          journalPaths: [path],
          codecs: new Map([[0, 'PCMU'] as const]),
        })),
      });
      expect(streams).toMatchObject([
        { packets: 4, ssrcs: [SSRC, 0xbeef] },
        { packets: 0, ssrcs: [], truncatedJournal: false },
      ]);
    });

    it('jitter is measured with the clock rates of the offer', async () => {
      const capture = await start();
      const { streamId, rtpPort } = await capture.openStream({
        journalPath: inDirectory('a'),
        accept,
        rtcp: { clockRates: new Map([[111, 48_000]]) },
      });
      const sender = await bound();
      // At once, but 1 s apart by their timestamps.
      for (const index of [0, 1])
        await send(
          sender,
          rtpPacket({
            payloadType: 111,
            sequence: index,
            timestamp: 48_000 * index,
            payload: Buffer.alloc(9),
          }),
          rtpPort,
        );
      const { jitterMs } = await seen(capture, streamId, 2);
      expect(jitterMs).toBeGreaterThan(20);
      expect(jitterMs).toBeLessThanOrEqual(1000 / 16);
    });
  });

  describe('a new offer', () => {
    const { bound, send, start, seen } = useCapture(LOOPBACK, receiver);

    it('tells who may send from now on, and where reports go', async () => {
      const capture = await start({ rtcpIntervalMs: RTCP_INTERVAL_MS });
      const { streamId, rtpPort, rtcpPort } = await capture.openStream({
        journalPath: inDirectory('a'),
        accept: ['127.0.0.2'],
      });
      const [before, after] = [await bound(0, '127.0.0.2'), await bound(0, '127.0.0.3')];
      await send(before, rtcpPacket(), rtcpPort);
      await send(before, voice(1), rtpPort);
      await send(after, voice(2), rtpPort);
      await seen(capture, streamId, 3);
      const control = await bound(0, '127.0.0.3');
      const reported = nextPacket(control);
      await capture.updateStream(streamId, {
        accept: ['127.0.0.3'],
        rtcp: { peer: { address: '127.0.0.3', port: control.address().port } },
      });
      await send(before, voice(3), rtpPort);
      await send(after, voice(4), rtpPort);
      expect(block((await reported).packet)).toMatchObject({ type: 201, ssrc: SSRC });
      expect(await capture.closeStream(streamId)).toMatchObject({ rtpPackets: 2, foreignPackets: 2 });
    });

    it('is refused where it cannot be applied', async () => {
      const capture = await start();
      const { streamId } = await capture.openStream({ journalPath: inDirectory('a'), accept: [LOOPBACK] });
      await expect(capture.updateStream(streamId, { accept: ['example.com'] })).rejects.toThrow('CIDR');
      await capture.closeStream(streamId);
      await expect(capture.updateStream(streamId, { accept: [LOOPBACK] })).rejects.toThrow(
        StreamNotOpenError,
      );
    });
  });
});
