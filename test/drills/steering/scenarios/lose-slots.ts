/** Slots are lost with all their processes, leave DNS, are started again and come back. */
import type { RunningSlot } from '../../../../local/cloud/slot.ts';
import type { SteeringOutcome, SteeringStage } from '../steering-drill.ts';
import { seconds } from './seconds.ts';

export async function loseSlots(
  stage: SteeringStage,
  slots: readonly RunningSlot[],
): Promise<SteeringOutcome> {
  const { dns, say, options } = stage;
  const names = slots.map(({ name }) => name);
  await Promise.all(slots.map((slot) => slot.kill()));
  const lostAt = Date.now();
  say(`killed: ${names.join(', ')}`);
  const goneAt = await dns.untilGone(...names);
  say('DNS names them no more');
  await stage.pause(options.callMs);
  await Promise.all(slots.map((slot) => slot.restart()));
  const restartedAt = Date.now();
  say('started again');
  const backAt = await dns.untilBack(...names);
  say('DNS names them again');
  await stage.pause(options.callMs);
  return {
    secondsToLeaveDns: seconds(lostAt, goneAt),
    mayCut: true,
    failures: [],
    figures: { 'seconds from the start to DNS': seconds(restartedAt, backAt) },
  };
}
