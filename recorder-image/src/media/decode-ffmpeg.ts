/**
 * G.722 and G.729 by ffmpeg, as a child process from pipe to pipe.
 *
 * All payloads of a stream go in as one, and as many samples come out as the payloads hold (measured, also with
 * spoiled ones), so that counting tells which belong to which. The decoder's state goes on over gaps, as that of
 * a telephone does.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CODECS } from '../sdp/codecs.ts';
import type { DecodedAudio, DecodeOptions } from './decode.ts';
import { G729_FRAME_BYTES } from './payload-duration.ts';
import { samplesOfTicks } from './ticks.ts';
import type { PlacedAudio } from './timeline.ts';

type FfmpegCodec = 'G722' | 'G729';

/** ffmpeg's names of the raw formats. */
const FORMATS: Readonly<Record<FfmpegCodec, string>> = { G722: 'g722', G729: 'g729' };

/** A write of so many bytes costs no more than one of a packet. */
const BATCH_BYTES = 8192;
const BYTES_PER_SAMPLE = 2;
/** Of what ffmpeg says last; it goes into the manifest. */
const MAX_REASON_CHARACTERS = 300;

/** A `Decoder`. If ffmpeg is missing or ends early, all that it has not decoded is reported with that reason. */
export async function* decodeWithFfmpeg(
  codec: FfmpegCodec,
  audio: Iterable<PlacedAudio, void, void>,
  { ffmpeg, onUndecoded }: DecodeOptions,
): AsyncGenerator<DecodedAudio, void, void> {
  const { sampleRate } = CODECS[codec];
  const source = audio[Symbol.iterator]();
  /** Went in, and has not come out. */
  const underway: PlacedAudio[] = [];
  let readError: unknown;

  function* payloads(): Generator<Buffer, void, void> {
    for (let batch: Uint8Array[] = [], bytes = 0; ; ) {
      const placed = takeNext();
      if (placed !== undefined) {
        underway.push(placed);
        batch.push(Buffer.from(wholeFrames(codec, placed.payload)));
        bytes += placed.payload.length;
      }
      if (batch.length > 0 && (placed === undefined || bytes >= BATCH_BYTES)) {
        yield Buffer.concat(batch);
        [batch, bytes] = [[], 0];
      }
      if (placed === undefined) return;
    }
  }

  /** The journal's own errors are not ffmpeg's. */
  function takeNext(): PlacedAudio | undefined {
    try {
      return source.next().value ?? undefined;
    } catch (error) {
      readError = error;
      return undefined;
    }
  }

  const child = spawn(ffmpeg, [
    ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1'],
    ...['-f', FORMATS[codec], '-i', 'pipe:0'],
    ...['-f', 's16le', '-ac', '1', '-ar', String(sampleRate), 'pipe:1'],
  ]);
  const ending = endingOf(child, ffmpeg);
  // How writing fails is told by how the process ended.
  const feeding = pipeline(Readable.from(payloads()), child.stdin).catch(() => {});
  try {
    let received: Buffer = Buffer.alloc(0);
    for await (const chunk of untilBroken(child.stdout)) {
      received = Buffer.concat([received, chunk]);
      let used = 0;
      for (let head = underway[0]; head !== undefined; head = underway[0]) {
        const samples = samplesOfTicks(head.skip + head.end - head.position, sampleRate);
        if (received.length - used < samples * BYTES_PER_SAMPLE) break;
        underway.shift();
        const skipped = samplesOfTicks(head.skip, sampleRate);
        yield { position: head.position, samples: readSamples(received, used, skipped, samples) };
        used += samples * BYTES_PER_SAMPLE;
      }
      received = received.subarray(used);
    }
    await feeding;
    const reason = `${codec}: ${await ending}`;
    for (const placed of underway) onUndecoded(placed, reason);
    for (let placed = takeNext(); placed !== undefined; placed = takeNext()) onUndecoded(placed, reason);
    if (readError !== undefined) throw readError;
  } finally {
    child.kill('SIGKILL');
    await ending;
    source.return?.();
  }
}

/** Without the SID frame that may follow the frames of G.729. */
const wholeFrames = (codec: FfmpegCodec, payload: Uint8Array): Uint8Array =>
  codec === 'G729' ? payload.subarray(0, payload.length - (payload.length % G729_FRAME_BYTES)) : payload;

function readSamples(bytes: Buffer, start: number, from: number, to: number): Int16Array {
  const samples = new Int16Array(to - from);
  for (let index = from; index < to; index++)
    samples[index - from] = bytes.readInt16LE(start + index * BYTES_PER_SAMPLE);
  return samples;
}

/** What a process that never was, or was killed, leaves of its output is all there is. */
async function* untilBroken(output: Readable): AsyncGenerator<Buffer, void, void> {
  try {
    yield* output;
  } catch {
    // How it broke is told by how the process ended.
  }
}

/** Resolves when the process is gone, with the reason, in words for people, why it gave no more. */
function endingOf(child: ChildProcessWithoutNullStreams, ffmpeg: string): Promise<string> {
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text.replace(/\s+/g, ' ')).slice(-MAX_REASON_CHARACTERS);
  });
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve(
        error.code === 'ENOENT'
          ? `the program ${ffmpeg} is not there (Debian package: ffmpeg)`
          : error.message,
      ),
    );
    child.once('close', (code, signal) => resolve(`ffmpeg ended early (${signal ?? code}) ${said}`.trim()));
  });
}
