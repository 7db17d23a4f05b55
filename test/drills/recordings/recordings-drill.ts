/**
 * A drill of recordings: hundreds of them are stored, something breaks on their way into the index and to the other region,
 * and afterwards all of them must be indexed once, and every due copy be there, byte for byte, without a person.
 */
import { type Judgement, judgeRecordings } from './judge.ts';
import type { RecordingsStage } from './recordings-stage.ts';

export interface RecordingsOutcome {
  /** When what had been broken was whole again, in ms: repair is counted from there. */
  mendedAt: number;
  /** When all had arrived. */
  repairedAt: number;
  /** What the drill itself found wrong. */
  failures: string[];
  /** What else was measured, for the table. */
  figures?: Record<string, string | number>;
}

export interface RecordingsDrill {
  name: string;
  /** One line for people. */
  what: string;
  /** @param count how many recordings, at least */
  play: (stage: RecordingsStage, count: number) => Promise<RecordingsOutcome>;
}

/** The last line of a drill. */
export interface RecordingsResult {
  drill: string;
  passed: boolean;
  /** Stored. */
  recordings: number;
  /** Of those, in the index exactly once, with all that finds them. */
  indexed: number;
  /** In other regions than their home. */
  copiesDue: number;
  /** Of those, said to be verified and found to be so, by reading every byte. */
  copiesVerified: number;
  /** Null if it has not come so far. */
  repairSeconds: number | null;
}

export interface RecordingsReport {
  result: RecordingsResult;
  failures: string[];
  /** For people. */
  table: string;
}

/** So many are named, of many that are alike. */
const NAMED = 10;

/** Plays one drill on a stage, whatever was played on it before. Not played to its end: that is a failure of it. */
export async function runRecordingsDrill(
  drill: RecordingsDrill,
  stage: RecordingsStage,
  count: number,
): Promise<RecordingsReport> {
  const outcome = await drill.play(stage, count).catch((error: Error) => error);
  stage.gate.open();
  stage.signal.throwIfAborted();
  stage.say('looking at the table and at every object of both buckets');
  const judgement = await judgeRecordings(stage);
  return report(drill, outcome, judgement);
}

function report(
  { name }: RecordingsDrill,
  outcome: RecordingsOutcome | Error,
  { recordings, indexed, copiesDue, copiesVerified, problems }: Judgement,
): RecordingsReport {
  const isPlayed = !(outcome instanceof Error);
  const failures = [
    ...(isPlayed ? outcome.failures : [`not played to its end: ${outcome.message}`]),
    ...problems.slice(0, NAMED),
    ...(problems.length > NAMED ? [`and ${problems.length - NAMED} more`] : []),
  ];
  const repairSeconds = isPlayed ? Math.round((outcome.repairedAt - outcome.mendedAt) / 100) / 10 : null;
  const figures = isPlayed ? (outcome.figures ?? {}) : {};
  return {
    result: {
      drill: name,
      passed: failures.length === 0 && indexed === recordings && copiesVerified === copiesDue,
      recordings,
      indexed,
      copiesDue,
      copiesVerified,
      repairSeconds,
    },
    failures,
    table: [
      `recordings: ${recordings} stored, ${indexed} indexed once`,
      `copies: ${copiesDue} due, ${copiesVerified} verified`,
      ...Object.entries(figures).map(([what, value]) => `${what}: ${value}`),
    ].join('\n'),
  };
}
