/** Holds what is in S3 against what was sent, with none of the code that recorded it. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, parseManifest } from '../../core/manifest.ts';
import { allKeys, getObject, manifestKeys } from './bucket.ts';
import { type Comparison, compare, runs } from './compare.ts';
import type { Excuse, Expected, Outcome } from './drill.ts';
import type { DrillCall, DrillStream, Stage } from './stage.ts';
import { PACKET_MS } from './voice.ts';
import { mulawChannels } from './wav.ts';

export interface StreamVerdict extends Omit<Comparison, 'missing'> {
  sipCallId: string;
  label: string;
  missingMs: number;
  /** Numbers of the packets of which anything is missing, as runs. */
  missingPackets: [first: number, last: number][];
  /** Of those, what should be there: somebody listened when it was sent, and nobody destroyed it. */
  excessMs: number;
}

export interface CallVerdict {
  manifest: Manifest | undefined;
  streams: StreamVerdict[];
}

export interface Verdicts {
  calls: CallVerdict[];
  manifests: number;
  failures: string[];
}

/** A sentence is told once, with how many calls or streams it is true of. */
class Failures {
  readonly #found = new Map<string, string[]>();

  add(sentence: string, about: string): void {
    this.#found.set(sentence, [...(this.#found.get(sentence) ?? []), about]);
  }

  get count(): number {
    return [...this.#found.values()].reduce((sum, abouts) => sum + abouts.length, 0);
  }

  get sentences(): string[] {
    return Array.from(this.#found, ([sentence, [first, ...others]]) =>
      others.length === 0 ? `${sentence}: ${first}` : `${sentence}: ${first} and ${others.length} more`,
    );
  }
}

interface Stored {
  key: string;
  manifest: Manifest;
}

/** Looks at the recordings of all answered calls; those that are not as expected are kept in the folder of the stage. */
export async function verify(
  { s3, bucket, directory }: Stage,
  { expected, excused }: Outcome,
): Promise<Verdicts> {
  const failures = new Failures();
  const stored = new Map<string, Stored[]>();
  const keys = await manifestKeys(s3, bucket);
  for (const key of keys) {
    const manifest = parseManifest((await getObject(s3, bucket, key)).toString(), key);
    const { sipCallId } = manifest.session;
    stored.set(sipCallId, [...(stored.get(sipCallId) ?? []), { key, manifest }]);
  }
  const everything = new Set(await allKeys(s3, bucket));

  const calls: CallVerdict[] = [];
  for (const group of expected)
    for (const call of group.calls) {
      const { sipCallId } = call.call.facts;
      const [one, ...others] = stored.get(sipCallId) ?? [];
      stored.delete(sipCallId);
      if (others.length > 0) failures.add('a call has more than one manifest', sipCallId);
      if (!one) failures.add('a call that was answered has no manifest', sipCallId);
      const audio = one && (await readAudio(one));
      const before = failures.count;
      const verdict = judgeCall(call, group, one?.manifest, audio, excused ?? (() => false), failures);
      calls.push(verdict);
      if (failures.count > before) keep(join(directory, 'evidence', sipCallId), verdict, audio);
    }
  for (const sipCallId of stored.keys()) failures.add('a manifest of no call that was answered', sipCallId);
  return { calls, manifests: keys.length, failures: failures.sentences };

  /** The audio of a recording of which every file is as its manifest says. */
  async function readAudio({ key, manifest }: Stored): Promise<Buffer | undefined> {
    const prefix = key.slice(0, key.lastIndexOf('/') + 1);
    let audio: Buffer | undefined;
    for (const { name, role, bytes, sha256 } of manifest.files) {
      if (!everything.has(prefix + name)) {
        failures.add('a file of a manifest is not there', prefix + name);
        continue;
      }
      const content = await getObject(s3, bucket, prefix + name);
      const digest = createHash('sha256').update(content).digest('hex');
      if (content.length !== bytes || digest !== sha256)
        failures.add('a file is not what its manifest says', prefix + name);
      if (role === 'audio') audio = content;
    }
    return audio;
  }
}

/** What shows that a recording is not as expected. */
function keep(directory: string, { manifest, streams }: CallVerdict, audio: Buffer | undefined): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest, null, 2) ?? '');
  writeFileSync(
    join(directory, 'verdict.json'),
    JSON.stringify(streams, (_, value) => (value instanceof Set ? [...value] : value), 2),
  );
  if (audio) writeFileSync(join(directory, 'audio.wav'), audio);
}

function judgeCall(
  call: DrillCall,
  expected: Expected,
  manifest: Manifest | undefined,
  audio: Buffer | undefined,
  excused: Excuse,
  failures: Failures,
): CallVerdict {
  const { sipCallId } = call.call.facts;
  const channels = audio === undefined ? [] : mulawChannels(audio);
  const streams = call.streams.map((stream, index): StreamVerdict => {
    const sentAtMs = call.sentAtMs[index] ?? new Float64Array();
    const recorded = manifest?.streams[index];
    const channel = channels[recorded?.channel ?? index] ?? Buffer.alloc(0);
    const { missing, ...comparison } = compare(channel, stream.stream, sentAtMs.length, recorded?.gaps ?? []);
    const excess = missing.filter((packet) => !excused(stream, packet, sentAtMs[packet] as number));
    const verdict: StreamVerdict = {
      sipCallId,
      label: recorded?.label ?? String(index + 1),
      missingMs: missing.length * PACKET_MS,
      missingPackets: runs(missing),
      excessMs: excess.length * PACKET_MS,
      ...comparison,
    };
    const about = `${sipCallId} stream ${verdict.label}`;
    for (const [isWrong, sentence] of wrongsOf(verdict, expected, stream))
      if (isWrong) failures.add(sentence, about);
    return verdict;
  });
  if (manifest) judgeStatus(manifest, streams, expected, failures);
  return { manifest, streams };
}

const wrongsOf = (
  { sent, excessMs, differingMs, strangerMs, unlistedMs, wronglyListedMs, causes }: StreamVerdict,
  { maxMissingMs = 0, maxDifferingMs, causes: allowed = [] }: Expected,
  stream: DrillStream,
): [isWrong: boolean, sentence: string][] => [
  [sent === 0, 'nothing was sent'],
  [excessMs > maxMissingMs, `more than ${maxMissingMs} ms are missing of what should be there`],
  [differingMs > (maxDifferingMs?.(stream) ?? 0), 'audio differs from what was sent'],
  [strangerMs > 0, "another stream's audio is in it"],
  [unlistedMs > 0, 'audio is missing that no gap of the manifest lists'],
  [wronglyListedMs > 0, 'audio is there that the manifest lists as a gap'],
  [
    [...causes].some((cause) => !allowed.includes(cause)),
    `the cause of a gap is ${[...causes].join(', ')}, and not ${allowed.join(' or ') || 'any'}`,
  ],
];

function judgeStatus(
  { status, statusReasons, session: { sipCallId, endedBy }, streams: recorded }: Manifest,
  streams: readonly StreamVerdict[],
  { statuses, endings }: Expected,
  failures: Failures,
): void {
  const because = statusReasons.join('; ');
  const wrongs: [boolean, string][] = [
    [!statuses.includes(status), `the status is ${status} (${because}), and not ${statuses.join(' or ')}`],
    [!endings.includes(endedBy), `the recording was ended by ${endedBy}, and not by ${endings.join(' or ')}`],
    [status !== 'complete' && statusReasons.length === 0, `the status is ${status} without a reason`],
    [
      status === 'complete' && streams.some(({ missingMs }) => missingMs > 0),
      'the status is complete, and audio is missing',
    ],
    [recorded.length !== streams.length, `the recording has ${recorded.length} streams`],
  ];
  for (const [isWrong, sentence] of wrongs) if (isWrong) failures.add(sentence, sipCallId);
}
