/** The S3 of a target is down for as long as anything is recorded. */

import { SERVICE_NAME as REPLICATE } from '../../../../functions/replicate-recording/constants.ts';
import { pause } from '../../../../local/dns-server/pause.ts';
import type { RecordingsDrill } from '../recordings-drill.ts';
import { HOME, OTHER } from '../recordings-stage.ts';
import { untilQueued } from './lose-messages.ts';

/** With all jobs in the queue: long enough for second and third tries. */
const DOWN_MS = 30_000;

export const targetDown: RecordingsDrill = {
  name: 'target-down',
  what: "the target's S3 refuses everything while recordings are stored, and half a minute longer",
  async play(stage, count) {
    const { gate, say } = stage;
    const refusedBefore = gate.refused;
    gate.close('s3', OTHER, 'refuse');
    const stored = await stage.store(HOME, count);
    say(`${count} recordings stored; the target is down`);
    const failures: string[] = [];
    await untilQueued(stage, { name: REPLICATE, queue: 'copyJobs', region: HOME }, count);
    await pause(DOWN_MS, stage.signal);
    const copied = count - (await stage.notVerifiedSince(stored, OTHER, 0));
    if (copied > 0) failures.push(`${copied} copies are said to be there while the target was down`);
    const refused = gate.refused - refusedBefore;
    gate.open();
    const mendedAt = Date.now();
    say(`the target is back after ${refused} refused requests`);
    const repairedAt = await stage.untilArrived();
    return { mendedAt, repairedAt, failures, figures: { 'requests refused': refused } };
  },
};
