import type { Drill } from '../drill.ts';
import { settled } from './settled.ts';

/** Of one connection: an upload takes seconds. */
const SLOW = { kind: 'slow', bytesPerSecond: 64_000, delayMs: 500 } as const;

export const s3Slow: Drill = {
  name: 's3-slow',
  what: 'S3 takes connections and says nothing, then is slow; calls come and go as ever',
  async play(stage, { calls, talkMs, log }) {
    const failures: string[] = [];
    const recorder = await stage.startRecorder();
    await stage.link.turn({ kind: 'hang' });
    log(`${Math.ceil(calls / 2)} calls while S3 hangs`);
    const early = await stage.placeCalls(Math.ceil(calls / 2));
    await stage.pause(talkMs);
    await stage.hangUp(early);
    await stage.pause(talkMs);
    const whileHanging = await stage.manifests(0, 0);
    if (whileHanging > 0) failures.push(`${whileHanging} manifests came through an S3 that hangs`);

    log('as many calls while S3 is slow');
    await stage.link.turn(SLOW);
    const late = await stage.placeCalls(Math.max(1, Math.floor(calls / 2)));
    await stage.pause(talkMs);
    await stage.hangUp(late);
    const { status } = await recorder.health('/healthz');
    if (status !== 200) failures.push(`with a slow S3 the health check answers ${status}`);
    const waiting = recorder.spooled().length;
    if (waiting === 0) failures.push('no recording had to wait: nothing was drilled');
    await stage.manifests(1, 60_000);
    const whileSlow = await stage.manifests(0, 0);
    if (whileSlow === 0) failures.push('nothing gets through a slow S3');

    log('S3 is as fast as ever');
    await stage.link.turn({ kind: 'fine' });
    const placed = [...early, ...late];
    const { recoverySeconds, ...left } = await settled(stage, {
      count: placed.length,
      spools: [stage.spool],
    });
    return {
      expected: [{ calls: placed, statuses: ['complete'], endings: ['bye'] }],
      recoverySeconds,
      failures: [...failures, ...left.failures],
      figures: {
        'recordings that waited at the end of the last call': waiting,
        'manifests while S3 was slow': whileSlow,
      },
    };
  },
};
