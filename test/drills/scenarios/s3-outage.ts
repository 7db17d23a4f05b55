import type { Drill } from '../drill.ts';
import { finishedLimitMs, settled } from './settled.ts';

/** After the last call, so that tries fail and are tried again. */
const OUTAGE_AFTER_CALLS_MS = 6_000;

export const s3Outage: Drill = {
  name: 's3-outage',
  what: 'S3 refuses for the whole run of the calls and after it, and then returns',
  async play(stage, { calls, talkMs, log }) {
    const failures: string[] = [];
    await stage.link.turn({ kind: 'refuse' });
    const recorder = await stage.startRecorder();
    log(`${calls} calls while S3 refuses`);
    const placed = await stage.placeCalls(calls);
    await stage.pause(talkMs);
    await stage.hangUp(placed);
    await stage.pause(Math.min(OUTAGE_AFTER_CALLS_MS, talkMs));
    const refused = recorder.logs.lines.filter(({ msg }) => msg.includes('stays in the spool')).length;
    if (refused === 0) failures.push('the recorder met no refusal: nothing was drilled');
    const { status } = await recorder.health('/healthz');
    if (status !== 200) failures.push(`a recorder without S3 answers ${status} to its health check`);
    if (recorder.spooled().length < calls)
      failures.push(`only ${recorder.spooled().length} recordings wait in the spool while S3 is away`);

    log('S3 is back');
    await stage.link.turn({ kind: 'fine' });
    const { recoverySeconds, ...left } = await settled(stage, { count: calls, spools: [stage.spool] });
    return {
      expected: [{ calls: placed, statuses: ['complete'], endings: ['bye'] }],
      recoverySeconds,
      failures: [...failures, ...left.failures],
      figures: { 'tries that S3 refused': refused, 'limit of the recovery, s': finishedLimitMs / 1000 },
    };
  },
};
