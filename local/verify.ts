/** Finds the recordings of placed calls through the query API, and checks that each holds what was said. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { recordingSummarySchema } from '../core/index-entries.ts';
import { recordingCopySchema } from '../core/index-items.ts';
import { type ApiClientOptions, apiGet } from './api-client.ts';
import { checkRecording } from './audio-check/check.ts';
import { readWav, WavError } from './audio-check/wav.ts';
import type { CallResult } from './broadworks/simulator.ts';
import { pause } from './dns-server/pause.ts';

/** Recordings appear once they are assembled, uploaded and indexed. */
const FIND_TIMEOUT_MS = 30_000;
/** Copies of all of them, once the recordings are there. */
const COPY_TIMEOUT_MS = 30_000;
const POLL_MS = 500;

const copiesSchema = z.object({ copies: z.array(recordingCopySchema) });

const pageSchema = z.object({ items: z.array(recordingSummarySchema), nextCursor: z.string().optional() });
type FoundRecording = z.infer<typeof pageSchema>['items'][number];

const playbackSchema = z.object({ url: z.url(), sha256: z.string(), bytes: z.number(), region: z.string() });

/** A call with what was found of it. `problems` is empty when all is as it should be. */
export interface VerifiedCall {
  call: CallResult;
  recording?: FoundRecording;
  /** Tones measured, for the table: `1000 Hz | 1300 Hz`. */
  audio: string;
  /** Regions that hold a verified copy; empty where copies were not asked for. */
  copies: string[];
  /** From the end of the recording until the last of its copies was verified; absent without copies. */
  copyLagMs?: number;
  problems: string[];
}

export interface VerifyOptions {
  /** When the first call was placed. */
  since: Date;
  streams: 'dual' | 'single';
  /** Ends the search. */
  signal: AbortSignal;
  /** Looks also for the recordings of calls that went wrong once a recorder had taken them. */
  awaitsAll?: boolean;
  /** Regions that must get a copy of all that a region records, at once; copies are not looked at when absent. */
  targetsOf?: (homeRegion: string) => string[];
}

/**
 * Looks for the recordings until that of every call that went well is there, or 30 s have passed, and checks each call.
 * @throws ApiError, LocalCloudError when the API cannot be asked; the signal's reason
 */
export async function verifyCalls(
  api: ApiClientOptions,
  calls: CallResult[],
  { since, streams, signal, awaitsAll = false, targetsOf }: VerifyOptions,
): Promise<VerifiedCall[]> {
  const awaited = calls
    .filter((call) => wentWell(call) || (awaitsAll && call.recorder))
    .map(({ sipCallId }) => sipCallId);
  const found = await findRecordings(api, awaited, since, signal);
  const verified: VerifiedCall[] = [];
  const deadline = Date.now() + COPY_TIMEOUT_MS;
  for (const call of calls) {
    const one = await verifyCall(api, call, found.get(call.sipCallId) ?? [], streams);
    verified.push(targetsOf ? await withCopies(api, one, targetsOf, deadline, signal) : one);
  }
  return verified;
}

/** Waits for the verified copies of a recording, one in every region that must have one. */
async function withCopies(
  api: ApiClientOptions,
  verified: VerifiedCall,
  targetsOf: (homeRegion: string) => string[],
  deadline: number,
  signal: AbortSignal,
): Promise<VerifiedCall> {
  const { recording } = verified;
  if (!recording) return verified;
  const due = [recording.homeRegion, ...targetsOf(recording.homeRegion)];
  for (;;) {
    signal.throwIfAborted();
    const { copies } = copiesSchema.parse(await apiGet(api, `/recordings/${recording.recordingId}`));
    const there = copies.filter(({ state }) => state === 'verified').map(({ region }) => region);
    const missing = due.filter((region) => !there.includes(region));
    const problems =
      missing.length > 0
        ? [...verified.problems, `no verified copy in ${missing.join(', ')}`]
        : verified.problems;
    if (missing.length === 0 || Date.now() > deadline) {
      const verifiedAt = copies.flatMap((copy) => (copy.verifiedAt ? [Date.parse(copy.verifiedAt)] : []));
      const copyLagMs = Math.max(...verifiedAt) - Date.parse(recording.endedAt);
      return { ...verified, copies: there, ...(verifiedAt.length > 0 && { copyLagMs }), problems };
    }
    await pause(POLL_MS, signal);
  }
}

const wentWell = ({ outcome }: CallResult): boolean => outcome === 'recorded';

async function findRecordings(
  api: ApiClientOptions,
  awaited: string[],
  since: Date,
  signal: AbortSignal,
): Promise<Map<string, FoundRecording[]>> {
  const deadline = Date.now() + FIND_TIMEOUT_MS;
  for (;;) {
    signal.throwIfAborted();
    const found = Map.groupBy(await allRecordings(api, since), ({ sipCallId }) => sipCallId);
    if (awaited.every((id) => found.has(id)) || Date.now() > deadline) return found;
    await pause(POLL_MS, signal);
  }
}

async function allRecordings(api: ApiClientOptions, since: Date): Promise<FoundRecording[]> {
  const recordings: FoundRecording[] = [];
  let cursor: string | undefined;
  do {
    const query: Record<string, string> = cursor
      ? { cursor, limit: '100' }
      : { from: since.toISOString(), limit: '100' };
    const page = pageSchema.parse(await apiGet(api, '/recordings', query));
    recordings.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor);
  return recordings;
}

async function verifyCall(
  api: ApiClientOptions,
  call: CallResult,
  recordings: FoundRecording[],
  streams: 'dual' | 'single',
): Promise<VerifiedCall> {
  const problems: string[] = [];
  const reason = call.reason ?? 'no reason given';
  if (!call.recorder) return { call, audio: '-', copies: [], problems: [`no recorder took it: ${reason}`] };
  if (!wentWell(call)) problems.push(`${call.outcome}: ${reason}`);
  // One that answered too late, when the call had gone elsewhere, has a recording of nothing.
  const byTaker = recordings.filter(({ slot }) => slot === slotOf(call));
  const [recording] = byTaker.length > 0 ? byTaker : recordings;
  if (!recording)
    return {
      call,
      audio: '-',
      copies: [],
      problems: [
        ...problems,
        wentWell(call)
          ? `not found through the API within ${FIND_TIMEOUT_MS / 1000} s of its end`
          : 'the API has no recording of it',
      ],
    };
  if (byTaker.length > 1) problems.push(`found ${byTaker.length} times`);
  if (recording.status !== 'complete')
    problems.push(`status ${recording.status}: ${recording.statusReasons.join('; ')}`);
  problems.push(...factProblems(call, recording));
  const { audio, problems: audioProblems } = await verifyAudio(api, call, recording, streams);
  return { call, recording, audio, copies: [], problems: [...problems, ...audioProblems] };
}

/** The slot that took it. */
const slotOf = ({ recorder }: CallResult): string | undefined => recorder?.target.split('.')[0];

/** What the index says against what was sent. */
function factProblems(call: CallResult, recording: FoundRecording): string[] {
  const slot = slotOf(call);
  const numbers = recording.participants.map(({ number }) => number);
  const missing = Object.values(call.parties).filter(({ number }) => !numbers.includes(number));
  return [
    ...(recording.slot === slot ? [] : [`recorded by ${recording.slot}, sent to ${slot}`]),
    ...(recording.direction === call.direction
      ? []
      : [`direction ${recording.direction}, was ${call.direction}`]),
    ...missing.map(({ number }) => `party ${number} is not in the index`),
  ];
}

async function verifyAudio(
  api: ApiClientOptions,
  call: CallResult,
  recording: FoundRecording,
  streams: 'dual' | 'single',
): Promise<{ audio: string; problems: string[] }> {
  try {
    const playback = playbackSchema.parse(await apiGet(api, `/recordings/${recording.recordingId}/audio`));
    const response = await fetch(playback.url);
    const file = Buffer.from(await response.arrayBuffer());
    if (!response.ok) return { audio: '-', problems: [`the playback address answered ${response.status}`] };
    const sha256 = createHash('sha256').update(file).digest('hex');
    const changed = sha256 === playback.sha256 ? [] : ['its audio is not what the manifest says (SHA-256)'];
    const { recordedUser, other } = call.frequencies;
    const { problems, channels } = checkRecording(readWav(file), {
      expected: [
        { channel: 0, frequencyHz: recordedUser },
        { channel: streams === 'dual' ? 1 : 0, frequencyHz: other },
      ],
      durationMs: call.rtpDurationMs,
    });
    const audio = channels.map(({ frequencyHz }) => `${Math.round(frequencyHz)} Hz`).join(' | ');
    return { audio, problems: [...changed, ...problems] };
  } catch (error) {
    if (error instanceof WavError) return { audio: '-', problems: [error.message] };
    return { audio: '-', problems: [`its audio cannot be played: ${(error as Error).message}`] };
  }
}
