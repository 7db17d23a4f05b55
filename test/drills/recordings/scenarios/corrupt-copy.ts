/** Copies are changed, or lose a file, where they lie: nobody tells of it, and the sweep must find all of them. */
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { METRICS } from '../../../../functions/sweep-recordings/constants.ts';
import { getObject } from '../../bucket.ts';
import type { RecordingsDrill } from '../recordings-drill.ts';
import { HOME, OTHER, type RecordingsStage } from '../recordings-stage.ts';
import type { SyntheticRecording } from '../synthetic-recording.ts';

/** One in so many. */
const CORRUPTED = 10;
/** A sweep looks at a sample, a fifth of 500: that one is missed by so many is a chance of one in a million. */
const MOST_SWEEPS = 60;

export const corruptCopy: RecordingsDrill = {
  name: 'corrupt-copy',
  what: 'a byte of every tenth copy is changed at the target, or a file deleted',
  async play(stage, count) {
    const stored = await stage.store(HOME, count);
    await stage.untilArrived({ sweeping: false });
    await stage.untilIdle();
    const corrupted = stored.filter((_, index) => index % CORRUPTED === 0);
    for (const [index, recording] of corrupted.entries()) await corrupt(stage, recording, index);
    const mendedAt = Date.now();
    stage.say(`${corrupted.length} copies corrupted`);
    let reported = 0;
    for (let sweeps = 1; sweeps <= MOST_SWEEPS; sweeps++) {
      reported += damagedIn(await stage.sweep(HOME));
      const open = await stage.notVerifiedSince(corrupted, OTHER, mendedAt);
      if (open === 0) {
        const failures =
          reported === corrupted.length
            ? []
            : [`the sweep has told of ${reported} damaged copies, ${corrupted.length} were`];
        const figures = { 'copies corrupted': corrupted.length, 'of them reported': reported, sweeps };
        return { mendedAt, repairedAt: Date.now(), failures, figures };
      }
      stage.say(`${reported} found by ${sweeps} sweeps, ${open} not repaired`);
    }
    throw new Error(`${MOST_SWEEPS} sweeps have not found all`);
  },
};

/** By turns: a byte of the audio, the metadata is gone, a byte of the manifest. */
async function corrupt(stage: RecordingsStage, { keys }: SyntheticRecording, index: number): Promise<void> {
  const kind = index % keys.length;
  const object = { Bucket: stage.bucket(OTHER), Key: keys[kind] as string };
  const s3 = stage.s3(OTHER);
  if (kind === 1) return void (await s3.send(new DeleteObjectCommand(object)));
  const content = await getObject(s3, object.Bucket, object.Key);
  const at = content.length >> 1;
  content[at] = (content[at] ?? 0) ^ 1;
  await s3.send(new PutObjectCommand({ ...object, Body: content }));
}

/** What the run of a sweep tells of damaged copies, by its metric in CloudWatch's embedded format. */
function damagedIn(log: string): number {
  const values = log.matchAll(new RegExp(`"${METRICS.damaged}":(\\d+)`, 'g'));
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}
