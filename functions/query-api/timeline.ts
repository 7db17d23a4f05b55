/** Who was there when, in milliseconds into the audio. Pure. */
import type { IndexedRecording } from '../../core/index-items.ts';
import type { Participant } from '../../core/manifest.ts';
import type { TimelineEntry } from './answers.ts';

/** Milliseconds from the first sample to an instant, as far as there is audio; from the start of a recording that has none. */
export function offsetInto({ audio, startedAt, durationMs }: IndexedRecording): (instant: string) => number {
  const begin = Date.parse(audio?.startedAt ?? startedAt);
  const end = audio?.durationMs ?? durationMs;
  return (instant) => Math.min(Math.max(Date.parse(instant) - begin, 0), end);
}

/** Every stay of every participant, in order. Somebody whose joining is not known was there from the start. */
export function timelineOf(recording: IndexedRecording): TimelineEntry[] {
  const offset = offsetInto(recording);
  return recording.participants
    .flatMap((participant) =>
      staysOf(participant).map(({ joinedAt, leftAt }) => ({
        participantId: participant.id,
        fromMs: offset(joinedAt ?? recording.startedAt),
        toMs: offset(leftAt ?? recording.endedAt),
      })),
    )
    .toSorted((one, other) => one.fromMs - other.fromMs || one.toMs - other.toMs);
}

/** `stays`, or the one that `joinedAt` and `leftAt` make. */
export const staysOf = ({
  stays,
  joinedAt,
  leftAt,
}: Participant): { joinedAt?: string; leftAt?: string }[] =>
  stays && stays.length > 0 ? stays : [{ ...(joinedAt && { joinedAt }), ...(leftAt && { leftAt }) }];
