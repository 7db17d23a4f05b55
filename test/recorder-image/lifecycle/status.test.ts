/** What /status says of the spool. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTestRecorder } from '../../helpers/recorder.ts';
import { until } from '../../helpers/until.ts';
import { EPOCH_MS } from '../media/support.ts';
import { leaveRecording, useSpool } from '../storage/support.ts';

const used = useSpool();

it('tells how much waits, how long, and how much room there is', async () => {
  await leaveRecording(used.spool);
  const unusable = await leaveRecording(used.spool);
  writeFileSync(join(unusable.directory, 'session.jsonl'), 'rubbish');
  const recorder = await startTestRecorder({ spool: used.spool.directory }); // without an S3
  await until(() => recorder.spooled().includes('unusable'));
  await recorder.logs.find('recording not finished; it stays in the spool');
  const ageSeconds = (Date.now() - EPOCH_MS) / 1000;
  const { spool } = (await recorder.health('/status')).body as { spool: Record<string, number> };
  expect(spool).toEqual({
    finished: 0,
    failedTries: expect.any(Number),
    pending: 1,
    oldestSeconds: expect.any(Number),
    freeBytes: expect.any(Number),
    secondsUntilFull: null,
    unusable: 1,
  });
  expect(Math.abs((spool.oldestSeconds as number) - ageSeconds)).toBeLessThan(60);
  expect(spool.freeBytes).toBeGreaterThan(0);
  await recorder.stop();
});
