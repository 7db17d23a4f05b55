/**
 * A recording as vCon, the IETF's container for conversations (draft-ietf-vcon-vcon-core-04, unsigned form). The audio is in
 * it by reference, with the hash by which whoever fetches it can prove it. Pure.
 */
import { createHash } from 'node:crypto';
import type { IndexedRecording } from '../../core/index-items.ts';
import type { PlaybackAddress, Vcon } from './answers.ts';
import { staysOf } from './timeline.ts';

/** Of the drafts before the RFC: readers that know versions look for it. */
const VCON_VERSION = '0.4.0';

/** @param playback absent for a recording without audio, which is an incomplete dialog */
export function toVcon(recording: IndexedRecording, playback: PlaybackAddress | undefined, now: Date): Vcon {
  const { participants, recordingId, audio, startedAt, durationMs } = recording;
  return {
    vcon: VCON_VERSION,
    uuid: uuidOf(`${recordingId} ${now.toISOString()}`, now),
    created_at: now.toISOString(),
    subject: `Recording ${recordingId} of call ${recording.callId}`,
    parties: participants.map(({ number, aors, names }) => {
      const sip = aors.find((aor) => /^sips?:/i.test(aor));
      const tel = number ?? aors.find((aor) => /^tel:/i.test(aor))?.slice('tel:'.length);
      return { ...(tel && { tel }), ...(sip && { sip }), ...(names[0] && { name: names[0] }) };
    }),
    dialog: [
      {
        type: playback ? 'recording' : 'incomplete',
        start: audio?.startedAt ?? startedAt,
        duration: (audio?.durationMs ?? durationMs) / 1000,
        parties: audio && audio.channels > 1 ? partiesByChannel(recording) : [...participants.keys()],
        party_history: partyHistory(recording),
        ...(playback
          ? {
              mediatype: playback.contentType,
              filename: `${recordingId}.wav`,
              url: playback.url,
              content_hash: `sha256-${Buffer.from(playback.sha256, 'hex').toString('base64url')}`,
            }
          : { disposition: 'failed' as const }),
      },
    ],
    analysis: [],
    attachments: [],
  };
}

/** One party, several, or nobody that is known, on each channel. */
function partiesByChannel({ audio, streams, participants }: IndexedRecording): (number | number[] | null)[] {
  return Array.from({ length: audio?.channels ?? 0 }, (_, channel) => {
    const labels = streams.filter((stream) => stream.channel === channel).map(({ label }) => label);
    const heard = [...participants.entries()]
      .filter(([, { streamLabels }]) => streamLabels.some((label) => labels.includes(label)))
      .map(([index]) => index);
    return heard.length > 1 ? heard : (heard[0] ?? null);
  });
}

function partyHistory({
  participants,
  startedAt,
}: IndexedRecording): Vcon['dialog'][number]['party_history'] {
  return participants
    .flatMap((participant, party) =>
      staysOf(participant).flatMap(({ joinedAt = startedAt, leftAt }) => [
        { party, time: joinedAt, event: 'join' as const },
        ...(leftAt ? [{ party, time: leftAt, event: 'drop' as const }] : []),
      ]),
    )
    .toSorted((one, other) => Date.parse(one.time) - Date.parse(other.time));
}

/** UUID of version 8 (RFC 9562 5.8): the time in milliseconds, then a hash. An export of another time is another vCon. */
function uuidOf(text: string, now: Date): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes.writeUIntBE(now.getTime(), 0, 6);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
