/** Nobody answers any more in the home region: no S3, no DynamoDB. What it recorded is found and played from the other. */

import { sha256Hex } from '../../../helpers/stored-recording.ts';
import { inParallel } from '../in-parallel.ts';
import type { RecordingsDrill } from '../recordings-drill.ts';
import { HOME, OTHER, type RecordingsStage } from '../recordings-stage.ts';
import type { SyntheticRecording } from '../synthetic-recording.ts';

/** Of the recordings, so many are stored in the other region while the home region is gone: one in ten. */
const MEANWHILE = 10;
const PLAYED_AT_ONCE = 8;
const PAGE = '100';

export const regionGone: RecordingsDrill = {
  name: 'region-gone',
  what: "nobody answers for the home region's S3 and index: all is found and played from the other region",
  async play(stage, count) {
    const { gate, say } = stage;
    const there = await stage.store(HOME, count - Math.floor(count / MEANWHILE));
    await stage.untilArrived({ sweeping: false });
    await stage.untilIdle();
    const refusedBefore = gate.refused;
    gate.close('s3', HOME, 'silent');
    gate.close('dynamodb', HOME, 'silent');
    say(`${HOME} is gone`);
    await stage.store(OTHER, count - there.length);
    const failures = await notFound(stage, there);
    say('searched');
    failures.push(...(await notPlayed(stage, there)));
    say('played');
    const unanswered = gate.refused - refusedBefore;
    if (unanswered === 0) failures.push(`nobody asked ${HOME}: the drill shows nothing`);
    gate.open();
    const mendedAt = Date.now();
    say(`${HOME} is back`);
    const repairedAt = await stage.untilArrived();
    return {
      mendedAt,
      repairedAt,
      failures,
      figures: {
        'found and played from the other region': there.length,
        'requests without an answer': unanswered,
      },
    };
  },
};

/** Searches them all in the other region: each must be found once. */
async function notFound(
  { ask }: RecordingsStage,
  recordings: readonly SyntheticRecording[],
): Promise<string[]> {
  const from = recordings.map(({ manifest }) => manifest.startedAt).sort()[0] as string;
  const found = new Map<string, number>();
  let cursor: string | undefined;
  do {
    const query: Record<string, string> =
      cursor === undefined ? { from, limit: PAGE } : { cursor, limit: PAGE };
    const page = (await ask(OTHER, '/recordings', query)) as {
      items: { recordingId: string }[];
      nextCursor?: string;
    };
    for (const { recordingId } of page.items) found.set(recordingId, (found.get(recordingId) ?? 0) + 1);
    cursor = page.nextCursor;
  } while (cursor);
  return recordings
    .map(({ manifest }) => ({ id: manifest.recordingId, times: found.get(manifest.recordingId) ?? 0 }))
    .filter(({ times }) => times !== 1)
    .map(({ id, times }) => `${id} is found ${times} times in ${OTHER}`);
}

/** Fetches the audio of each by the address that the other region's API gives. */
async function notPlayed(
  { ask, gate }: RecordingsStage,
  recordings: readonly SyntheticRecording[],
): Promise<string[]> {
  const problems = await inParallel(recordings, PLAYED_AT_ONCE, async ({ manifest, digests }) => {
    const id = manifest.recordingId;
    try {
      const { url, region } = (await ask(OTHER, `/recordings/${id}/audio`)) as {
        url: string;
        region: string;
      };
      if (new URL(url).origin !== gate.endpoint) return `${id}: ${url} goes around the gate`;
      const answer = await fetch(url);
      const bytes = Buffer.from(await answer.arrayBuffer());
      if (!answer.ok) return `${id}: ${region} answers ${answer.status}`;
      return sha256Hex(bytes) === digests[0]
        ? undefined
        : `${id}: what ${region} plays is not what was stored`;
    } catch (error) {
      return `${id} cannot be played: ${(error as Error).message}`;
    }
  });
  return problems.filter((problem) => problem !== undefined);
}
