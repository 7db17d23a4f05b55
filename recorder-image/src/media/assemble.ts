/**
 * From journals to one WAV file: one channel per stream, aligned in time.
 *
 * Sample 0 is the first audio on any stream, and the file ends with the last audio on any stream. G.711 is kept
 * byte for byte where all streams have the same law; where laws are mixed, the file holds 16-bit PCM. The journals
 * are read twice, first to learn what is in them, then to write it, so that memory does not grow with the call.
 *
 * What is missing is silence. Stretches over 20 ms are listed as gaps, with their cause:
 * `lost`: sequence numbers are missing;
 * `not-sent`: the sender left a pause, or another stream had audio before this one's first or after its last;
 * `crash`: the same after the last, in a journal whose end is not whole.
 */
import { renameSync, rmSync } from 'node:fs';
import type { Gap } from '../../../core/manifest.ts';
import { G711_DECODE, G711_SAMPLE_RATE, G711_SILENCE, type G711Codec } from './g711.ts';
import { MAX_UNLISTED_GAP, type PlacedAudio, type StreamReport, StreamTimeline } from './timeline.ts';
import { assertWavFits, frameBytes, type WavEncoding, type WavFormat, WavWriter } from './wav.ts';

export { assembleInWorker } from './assemble-in-worker.ts';

const SAMPLES_PER_MS = G711_SAMPLE_RATE / 1000;
/** Samples per channel that are put together and written at once: one second. */
const BLOCK_SAMPLES = G711_SAMPLE_RATE;

export interface AssemblyStream {
  label: string;
  journalPath: string;
  /** By payload type. Packets of other types count, but carry no audio. */
  codecs: ReadonlyMap<number, G711Codec>;
}

export interface AssemblyJob {
  /** In the order of their channels. */
  streams: readonly AssemblyStream[];
  outPath: string;
}

/** `startedAtMs` is the instant of sample 0, in milliseconds since the epoch. */
export interface AssembledAudio {
  startedAtMs: number;
  durationMs: number;
  /** Hz. */
  sampleRate: number;
  channels: number;
  encoding: WavEncoding;
}

/** Counts are RTP packets; times are milliseconds since the epoch; gaps count from sample 0. */
export interface AssembledStream {
  label: string;
  ssrcs: number[];
  payloadTypes: number[];
  packets: number;
  lostPackets: number;
  duplicatePackets: number;
  firstPacketAt?: number;
  lastPacketAt?: number;
  gaps: Gap[];
  /** The journal's end was cut off or spoiled; all before it is used. */
  truncatedJournal: boolean;
}

export interface Assembly {
  /** Absent if there was no audio on any stream; then there is no file. */
  audio?: AssembledAudio;
  streams: AssembledStream[];
}

/** The stretch of one stream from its first to its last audio, in positions; empty if `start` >= `end`. */
interface Survey {
  start: number;
  end: number;
  codecs: Set<G711Codec>;
  report: StreamReport;
}

/**
 * Assembles one recording. Synchronous and busy: the recorder calls `assembleInWorker`.
 * The file appears at `outPath` when it is whole; one that is there already is replaced.
 * @throws WavTooLargeError | NodeJS.ErrnoException
 */
export function assemble({ streams, outPath }: AssemblyJob): Assembly {
  const surveys = streams.map(survey);
  const start = Math.min(...surveys.map((stream) => stream.start));
  const end = Math.max(...surveys.map((stream) => stream.end));
  const hasAudio = start < end;
  const assembled = streams.map(({ label }, index) => {
    const { gaps: _, ssrcs, payloadTypes, ...report } = (surveys[index] as Survey).report;
    return {
      label,
      ...report,
      ssrcs: [...ssrcs],
      payloadTypes: [...payloadTypes],
      gaps: hasAudio ? gapsOf(surveys[index] as Survey, start, end) : [],
    };
  });
  if (!hasAudio) return { streams: assembled };

  const encoding = commonEncoding(surveys);
  const format: WavFormat = { encoding, channels: streams.length, sampleRate: G711_SAMPLE_RATE };
  assertWavFits(format, (end - start) * frameBytes(format));
  const partPath = `${outPath}.part`;
  try {
    writeWav(partPath, format, streams, start, end);
    renameSync(partPath, outPath);
  } catch (error) {
    rmSync(partPath, { force: true });
    throw error;
  }
  const startedAtMs = Math.round(start / SAMPLES_PER_MS);
  const durationMs = (end - start) / SAMPLES_PER_MS;
  return { audio: { startedAtMs, durationMs, ...format }, streams: assembled };
}

function survey({ journalPath, codecs: known }: AssemblyStream): Survey {
  const timeline = new StreamTimeline(journalPath, known);
  const codecs = new Set<G711Codec>();
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  for (const { position, codec, payload } of timeline.audio()) {
    start = Math.min(start, position);
    end = position + payload.length;
    codecs.add(codec);
  }
  return { start, end, codecs, report: timeline.report };
}

function commonEncoding(surveys: readonly Survey[]): WavEncoding {
  const codecs = new Set(surveys.flatMap((stream) => [...stream.codecs]));
  if (codecs.size > 1) return 'pcm16';
  return codecs.has('PCMA') ? 'pcma' : 'pcmu';
}

/** All gaps of a stream, from `start` to `end` of the file. */
function gapsOf(stream: Survey, start: number, end: number): Gap[] {
  const atEnd = stream.report.truncatedJournal ? 'crash' : 'not-sent';
  const isSilent = stream.start >= stream.end;
  const around = isSilent
    ? [{ from: start, to: end, cause: atEnd } as const]
    : [
        { from: start, to: stream.start, cause: 'not-sent' } as const,
        ...stream.report.gaps,
        { from: stream.end, to: end, cause: atEnd } as const,
      ];
  return around
    .filter(({ from, to }) => to - from > MAX_UNLISTED_GAP)
    .map(({ from, to, cause }) => ({
      fromMs: (from - start) / SAMPLES_PER_MS,
      toMs: (to - start) / SAMPLES_PER_MS,
      cause,
    }));
}

const KEEP_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** How a byte of each codec becomes a sample of the file, and the file's silence. */
const CONVERSIONS: Readonly<
  Record<WavEncoding, { table: Readonly<Record<G711Codec, Uint8Array | Int16Array>>; silence: number }>
> = {
  pcmu: { table: { PCMU: KEEP_BYTE, PCMA: KEEP_BYTE }, silence: G711_SILENCE.PCMU },
  pcma: { table: { PCMU: KEEP_BYTE, PCMA: KEEP_BYTE }, silence: G711_SILENCE.PCMA },
  pcm16: { table: G711_DECODE, silence: 0 },
};

function writeWav(
  path: string,
  format: WavFormat,
  streams: readonly AssemblyStream[],
  start: number,
  end: number,
): void {
  const { table, silence } = CONVERSIONS[format.encoding];
  const channels = streams.length;
  const bytes = new Uint8Array(BLOCK_SAMPLES * frameBytes(format));
  // In the byte order of the machine, which is little-endian wherever Node.js runs on AWS, as is WAV.
  const samples = format.encoding === 'pcm16' ? new Int16Array(bytes.buffer) : bytes;
  const sources = streams.map(({ journalPath, codecs }) => new StreamTimeline(journalPath, codecs).audio());
  const next: (PlacedAudio | undefined)[] = sources.map((source) => source.next().value ?? undefined);

  const wav = new WavWriter(path, format);
  try {
    for (let from = start; from < end; from += BLOCK_SAMPLES) {
      const to = Math.min(from + BLOCK_SAMPLES, end);
      samples.fill(silence);
      for (const [channel, source] of sources.entries()) {
        let audio = next[channel];
        while (audio !== undefined && audio.position < to) {
          interleave(audio, from, to, channel, channels, table[audio.codec], samples);
          if (audio.position + audio.payload.length > to) break;
          audio = source.next().value ?? undefined;
        }
        next[channel] = audio;
      }
      wav.write(bytes.subarray(0, (to - from) * frameBytes(format)));
    }
    wav.finish();
  } finally {
    wav.close();
    for (const source of sources) source.return();
  }
}

/** Puts the part of `audio` that lies between `from` and `to` into its channel of a block that begins at `from`. */
function interleave(
  { position, payload }: PlacedAudio,
  from: number,
  to: number,
  channel: number,
  channels: number,
  table: Uint8Array | Int16Array,
  samples: Uint8Array | Int16Array,
): void {
  const first = Math.max(0, from - position);
  const last = Math.min(payload.length, to - position);
  let at = (position + first - from) * channels + channel;
  for (let index = first; index < last; index++, at += channels)
    samples[at] = table[payload[index] as number] as number;
}
