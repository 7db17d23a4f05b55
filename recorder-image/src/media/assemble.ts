/**
 * From journals to one WAV file: one channel per stream, aligned in time.
 *
 * Sample 0 is the first audio on any stream, and the file ends with the last audio on any stream. G.711 is kept
 * byte for byte where all audio has the same law; otherwise the file holds 16-bit PCM at the highest sample rate
 * among the codecs. The journals are read three times, so that memory does not grow with the call: to learn how the
 * clocks of their senders run, then where their audio lies, and to write it.
 *
 * What is missing is silence. Stretches over 20 ms are listed as gaps, with their cause:
 * `lost`: sequence numbers are missing;
 * `not-sent`: the sender left a pause, or another stream had audio before this one's first or after its last;
 * `crash`: nobody listened between two segments of the journal, or what came had not reached the journal, or its end is not
 * whole;
 * `undecoded`: the journal holds it, and it could not be decoded, as the stream's `undecoded` tells, or is spoiled there.
 */
import { renameSync, rmSync } from 'node:fs';
import type { Gap, UnlistedGap } from '../../../core/manifest.ts';
import { CODECS, type CodecName } from '../sdp/codecs.ts';
import { alignByReports } from './clock-alignment.ts';
import { type StreamClock, surveyClock } from './clock-survey.ts';
import { DECODERS } from './decode.ts';
import { G711_SILENCE, type G711Codec } from './g711.ts';
import { GapList, type PlacedGap } from './gap-list.ts';
import type { SegmentReport } from './journal-segments.ts';
import { type Piece, type Track, writeAudio } from './mixdown.ts';
import { slitFiller } from './slits.ts';
import type { StreamJournal } from './stream-packets.ts';
import type { DtmfDigit } from './telephone-event.ts';
import { samplesOfTicks, TICK_RATE, TICKS_PER_MS } from './ticks.ts';
import { MAX_UNLISTED_GAP, type PlacedAudio, StreamTimeline } from './timeline.ts';
import { upsampler } from './upsample.ts';
import type { WavEncoding, WavFormat } from './wav.ts';

export { assembleInWorker } from './assemble-in-worker.ts';
export type { DtmfDigit } from './telephone-event.ts';

const G711_ENCODING: Readonly<Record<G711Codec, WavEncoding>> = { PCMU: 'pcmu', PCMA: 'pcma' };

export interface AssemblyStream extends StreamJournal {
  label: string;
}

export interface AssemblyJob {
  /** In the order of their channels. */
  streams: readonly AssemblyStream[];
  outPath: string;
  /** Whoever wrote the journals died over the last of their segments. */
  endedByCrash?: boolean;
  /** Tell when a key was pressed, and not which: every digit is `*`. Tones in the audio, and the journal, keep them. */
  maskDigits?: boolean;
  /** Name or path of the program that decodes G.722 and G.729; default `ffmpeg`. */
  ffmpeg?: string;
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

/** Counts are RTP packets; times are milliseconds since the epoch; gaps and digits count from sample 0. */
export interface AssembledStream {
  label: string;
  ssrcs: number[];
  payloadTypes: number[];
  packets: number;
  lostPackets: number;
  duplicatePackets: number;
  /** Interarrival jitter (RFC 3550 A.8) at its highest. */
  jitterMs: number;
  /** Encrypted under none of the keys that the offers gave. */
  unauthenticPackets: number;
  firstPacketAt?: number;
  lastPacketAt?: number;
  /** The longest, no more than `MAX_LISTED_GAPS`. */
  gaps: Gap[];
  /** The others, by cause; absent if there are none. */
  unlistedGaps?: UnlistedGap[];
  /** The end of the journal, or of one of its segments, was cut off or spoiled; all else is used. */
  truncatedJournal: boolean;
  /** A crash came before its first packet, or after its last: what that has cost, no packet tells. */
  crashUnmeasured?: boolean;
  /** Bytes of the journal that could not be read; absent if there are none. */
  unreadBytes?: number;
  dtmf: DtmfDigit[];
  /** Some audio could not be decoded, for this reason: whoever needs it needs the journal. */
  undecoded?: string;
}

export interface Assembly {
  /** Absent if no stream had audio, or none could be decoded; then there is no file. */
  audio?: AssembledAudio;
  streams: AssembledStream[];
}

/** What a stream holds. Positions and durations are in ticks; `start` >= `end` if there is no audio. */
interface Survey {
  start: number;
  end: number;
  duration: number;
  codecs: Set<CodecName>;
  clock: StreamClock;
  timeline: StreamTimeline;
}

/** What decoding a stream did not give. */
interface Undecoded {
  gaps: GapList;
  reason: string | undefined;
}

/**
 * Assembles one recording. Busy: the recorder calls `assembleInWorker`.
 * The file appears at `outPath` when it is whole; one that is there already is replaced.
 * @throws NodeJS.ErrnoException
 */
export async function assemble(job: AssemblyJob): Promise<Assembly> {
  const clocks = alignByReports(job.streams.map(surveyClock));
  const surveys = job.streams.map((stream, index) => survey(stream, clocks[index] as StreamClock));
  const undecoded = job.streams.map((): Undecoded => ({ gaps: new GapList(), reason: undefined }));
  const start = Math.min(...surveys.map((stream) => stream.start));
  const end = Math.max(...surveys.map((stream) => stream.end));
  const audio = start < end ? await writeFile(job, surveys, undecoded, start, end) : undefined;
  const digitsFrom = audio === undefined ? firstArrival(surveys) : start;
  return {
    ...(audio && { audio }),
    streams: job.streams.map(({ label }, index) => {
      const { report, telephoneEvents } = (surveys[index] as Survey).timeline;
      const { gaps, reason } = undecoded[index] as Undecoded;
      const { ssrcs, payloadTypes, segments, unreadBytes, ...counts } = report;
      return {
        label,
        ...counts,
        jitterMs: (clocks[index] as StreamClock).jitterMs,
        ssrcs: [...ssrcs],
        payloadTypes: [...payloadTypes],
        ...(audio === undefined
          ? { gaps: [] }
          : toldGaps(
              gapsOf(surveys[index] as Survey, gaps, crashes(surveys, segments, job), start, end),
              start,
            )),
        truncatedJournal: segments.some(({ truncated }) => truncated),
        ...(isCrashUnmeasured(segments) && { crashUnmeasured: true }),
        ...(unreadBytes > 0 && { unreadBytes }),
        dtmf: telephoneEvents.digits(digitsFrom, job.maskDigits ?? false),
        ...(reason !== undefined && { undecoded: reason }),
      };
    }),
  };
}

function survey(stream: AssemblyStream, clock: StreamClock): Survey {
  const timeline = new StreamTimeline(stream, clock, false);
  const codecs = new Set<CodecName>();
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  let duration = 0;
  for (const audio of timeline.audio()) {
    start = Math.min(start, audio.position);
    end = audio.end;
    duration += audio.end - audio.position;
    codecs.add(audio.codec);
  }
  return { start, end, duration, codecs, clock, timeline };
}

/** In ticks; 0 if nothing has arrived. */
function firstArrival(surveys: readonly Survey[]): number {
  const arrivals = surveys.flatMap(({ timeline }) => timeline.report.firstPacketAt ?? []);
  return arrivals.length === 0 ? 0 : Math.min(...arrivals) * TICKS_PER_MS;
}

function formatOf(surveys: readonly Survey[]): WavFormat {
  const codecs = new Set(surveys.flatMap((stream) => [...stream.codecs]));
  const sampleRate = Math.max(...Array.from(codecs, (codec) => CODECS[codec].sampleRate));
  const [only] = codecs;
  const isKept = codecs.size === 1 && (only === 'PCMU' || only === 'PCMA');
  return { encoding: isKept ? G711_ENCODING[only] : 'pcm16', channels: surveys.length, sampleRate };
}

/** @returns undefined, and no file, if nothing could be decoded */
async function writeFile(
  job: AssemblyJob,
  surveys: readonly Survey[],
  undecoded: readonly Undecoded[],
  start: number,
  end: number,
): Promise<AssembledAudio | undefined> {
  const format = formatOf(surveys);
  const length = samplesOfTicks(end - start, format.sampleRate);
  const tracks = job.streams.flatMap((stream, channel) =>
    Array.from((surveys[channel] as Survey).codecs, (codec): Track => {
      const { clock } = surveys[channel] as Survey;
      const source = { stream, clock, codec, start, ffmpeg: job.ffmpeg ?? 'ffmpeg' };
      const pieces =
        format.encoding === 'pcm16'
          ? linearPieces(source, format.sampleRate, undecoded[channel] as Undecoded)
          : g711Pieces(source);
      return { channel, pieces };
    }),
  );
  const silence = format.encoding === 'pcma' ? G711_SILENCE.PCMA : G711_SILENCE.PCMU;
  const partPath = `${job.outPath}.part`;
  try {
    await writeAudio(partPath, format, length, silence, tracks);
    const isHeard = surveys.some(
      (stream, index) => stream.duration > (undecoded[index] as Undecoded).gaps.duration,
    );
    if (isHeard) renameSync(partPath, job.outPath);
    else rmSync(partPath);
    const startedAtMs = Math.round(start / TICKS_PER_MS);
    return isHeard ? { startedAtMs, durationMs: (end - start) / TICKS_PER_MS, ...format } : undefined;
  } catch (error) {
    rmSync(partPath, { force: true });
    throw error;
  }
}

/** The audio of one stream in one codec: each has a track, and a decoder, of its own. */
interface Source {
  stream: AssemblyStream;
  clock: StreamClock;
  codec: CodecName;
  /** Position of sample 0. */
  start: number;
  ffmpeg: string;
}

function* audioOf({ stream, clock, codec }: Source): Generator<PlacedAudio, void, void> {
  for (const audio of new StreamTimeline(stream, clock, true).audio()) if (audio.codec === codec) yield audio;
}

function* g711Pieces(source: Source): Generator<Piece, void, void> {
  const { sampleRate } = CODECS[source.codec];
  const fillSlit = slitFiller<Uint8Array>();
  for (const { position, skip, payload } of audioOf(source))
    yield fillSlit(
      samplesOfTicks(position - source.start, sampleRate),
      payload.subarray(samplesOfTicks(skip, sampleRate)),
    );
}

async function* linearPieces(
  source: Source,
  sampleRate: number,
  undecoded: Undecoded,
): AsyncGenerator<Piece, void, void> {
  const { codec, start, ffmpeg } = source;
  const ownRate = CODECS[codec].sampleRate;
  const upsample = upsampler(sampleRate / ownRate);
  const fillSlit = slitFiller<Int16Array>();
  const onUndecoded = ({ position, end }: PlacedAudio, reason: string): void => {
    undecoded.reason ??= reason;
    undecoded.gaps.add({ from: position, to: end, cause: 'undecoded' });
  };
  for await (const { position, samples } of DECODERS[codec](audioOf(source), { ffmpeg, onUndecoded })) {
    const own = samplesOfTicks(position - start, ownRate);
    const filled = fillSlit(own, samples);
    const upsampled = upsample(filled.samples);
    const lead = samplesOfTicks(((own - filled.at) * TICK_RATE) / ownRate, sampleRate) + upsampled.lead;
    yield { at: samplesOfTicks(position - start, sampleRate) - lead, samples: upsampled.samples };
  }
}

/** A time in which nobody listened to a stream, in ticks. */
type Crash = Pick<PlacedGap, 'from' | 'to'>;

/** A journal may lack so much when its writer dies. */
const UNWRITTEN = 1000 * TICKS_PER_MS;

/**
 * Before each segment but the first, and after the last one of a recording that a crash has ended: all that is missing after
 * a segment that is cut off; else from a second before the last packet that any stream of the recording had by then.
 */
function crashes(
  surveys: readonly Survey[],
  segments: readonly SegmentReport[],
  { endedByCrash = false }: AssemblyJob,
): Crash[] {
  const heard = surveys.flatMap(({ timeline }) =>
    timeline.report.segments.flatMap(({ lastArrivalMs = [] }) => lastArrivalMs),
  );
  const next = segments.slice(1).map(({ startedAtMs }) => startedAtMs);
  return [...next, ...(endedByCrash ? [Number.POSITIVE_INFINITY] : [])].flatMap((toMs, index) => {
    if (toMs === undefined) return [];
    const lastHeard = Math.max(...heard.filter((arrivalMs) => arrivalMs < toMs));
    if (!(lastHeard > 0)) return [];
    const isCutOff = segments[index]?.truncated ?? false;
    const from = isCutOff ? Number.NEGATIVE_INFINITY : lastHeard * TICKS_PER_MS - UNWRITTEN;
    return [{ from, to: toMs * TICKS_PER_MS }];
  });
}

/** Between two packets sequence numbers tell what is missing; before the first and after the last nothing does. */
const isCrashUnmeasured = (segments: readonly SegmentReport[]): boolean =>
  segments.length > 1 &&
  segments.some(({ lastArrivalMs }) => lastArrivalMs !== undefined) &&
  [segments[0], segments.at(-1)].some((segment) => segment?.lastArrivalMs === undefined);

/** Of the journal there is more: all that came before was written. */
const isSurvived = ({ to }: Crash): boolean => Number.isFinite(to);

/** A pause before the first or after the last audio, with the crashes in it. What is too short to be listed goes with them. */
function* splitByCrashes({ from, to }: Crash, within: readonly Crash[]): Generator<PlacedGap, void, void> {
  let at = from;
  for (const crash of within) {
    const begin = crash.from - at > MAX_UNLISTED_GAP ? crash.from : at;
    const end = to - crash.to > MAX_UNLISTED_GAP ? crash.to : to;
    if (begin >= end || end <= at) continue;
    yield { from: at, to: begin, cause: 'not-sent' };
    yield { from: begin, to: end, cause: 'crash' };
    at = end;
  }
  yield { from: at, to, cause: 'not-sent' };
}

/** All gaps of a stream, from `start` to `end` of the file. */
function gapsOf(
  stream: Survey,
  undecoded: GapList,
  crashes: readonly Crash[],
  start: number,
  end: number,
): GapList {
  const { gaps, segments } = stream.timeline.report;
  const isSilent = stream.start >= stream.end;
  const before = isSilent ? end : stream.start;
  const after = isSilent ? end : stream.end;
  const isCutOff = segments.at(-1)?.truncated ?? false;
  const all = new GapList();
  const listed: PlacedGap[] = [
    ...(isSilent && isCutOff
      ? [{ from: start, to: end, cause: 'crash' } as const]
      : splitByCrashes({ from: start, to: before }, isSilent ? crashes : crashes.filter(isSurvived))),
    ...gaps.listed,
    ...undecoded.listed,
    ...(isCutOff
      ? [{ from: after, to: end, cause: 'crash' } as const]
      : splitByCrashes({ from: after, to: end }, crashes)),
  ];
  for (const gap of listed.sort((one, other) => one.from - other.from))
    if (gap.to - gap.from > MAX_UNLISTED_GAP) all.add(gap);
  for (const unlisted of [...gaps.unlisted, ...undecoded.unlisted]) all.addUnlisted(unlisted);
  return all;
}

/** As the manifest tells them. */
function toldGaps(
  { listed, unlisted }: GapList,
  start: number,
): Pick<AssembledStream, 'gaps' | 'unlistedGaps'> {
  return {
    gaps: listed.map(({ from, to, cause }) => ({
      fromMs: (from - start) / TICKS_PER_MS,
      toMs: (to - start) / TICKS_PER_MS,
      cause,
    })),
    ...(unlisted.length > 0 && {
      unlistedGaps: unlisted.map(({ cause, count, duration }) => ({
        cause,
        count,
        totalMs: duration / TICKS_PER_MS,
      })),
    }),
  };
}
