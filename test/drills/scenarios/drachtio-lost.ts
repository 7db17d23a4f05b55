import { until } from '../../helpers/until.ts';
import type { Drill } from '../drill.ts';
import { ORPHAN_SILENCE, orphanSilenceMs } from './orphans.ts';
import { finishedLimitMs, settled } from './settled.ts';

export const drachtioLost: Drill = {
  name: 'drachtio-lost',
  what: 'the SIP server is killed (-9), is back, and freezes (half-open): recordings end by RTP silence, and say so',
  variables: (options) => ({
    ...ORPHAN_SILENCE(options),
    // A frozen SIP server is not known to be lost: plain silence ends the recordings.
    SIPREC_SILENCE_SECONDS: String(Math.ceil(orphanSilenceMs(options) / 1000) + 1),
  }),
  async play(stage, options) {
    const { calls, talkMs, log } = options;
    const failures: string[] = [];
    const recorder = await stage.startRecorder();
    const expectHealth = async (expected: number, when: string) => {
      const { status } = await recorder.health('/healthz');
      if (status !== expected)
        failures.push(`${when} the health check answers ${status}, and not ${expected}`);
    };
    const silenceMs = orphanSilenceMs(options) + 1_000;
    const limitMs = finishedLimitMs + silenceMs;

    log(`${Math.ceil(calls / 2)} calls, and a SIP server that is killed`);
    const beforeDeath = await stage.placeCalls(Math.ceil(calls / 2));
    await stage.pause(talkMs / 2);
    process.kill(stage.sipServer().pid, 'SIGKILL');
    await stage.sipServer().exited;
    await recorder.logs.find('SIP server lost; running recordings go on until their media ends');
    await expectHealth(503, 'without a SIP server');
    await stage.pause(talkMs / 2);
    await stage.stopMedia(beforeDeath);
    const spools: string[] = []; // looked at in the end
    const first = await settled(stage, { count: beforeDeath.length, spools, limitMs });

    log('the SIP server is back; as many calls, and it freezes');
    await stage.startSipServer();
    await until(async () => (await recorder.health('/healthz')).status === 200);
    const beforeFreeze = await stage.placeCalls(Math.max(1, Math.floor(calls / 2)));
    await stage.pause(talkMs / 2);
    process.kill(stage.sipServer().pid, 'SIGSTOP');
    await stage.pause(talkMs / 2);
    await stage.stopMedia(beforeFreeze);
    const count = beforeDeath.length + beforeFreeze.length;
    const second = await settled(stage, { count, spools, limitMs });

    log('the SIP server goes on');
    process.kill(stage.sipServer().pid, 'SIGCONT');
    await until(async () => (await recorder.health('/healthz')).status === 200);
    const after = await stage.placeCalls(1);
    await stage.pause(1_000);
    await stage.hangUp(after);
    const last = await settled(stage, { count: count + 1, spools: [stage.spool] });
    return {
      expected: [
        { calls: beforeDeath, statuses: ['partial'], endings: ['sip-server-lost'] },
        { calls: beforeFreeze, statuses: ['partial'], endings: ['silence', 'sip-server-lost'] },
        { calls: after, statuses: ['complete'], endings: ['bye'] },
      ],
      recoverySeconds: Math.max(first.recoverySeconds, second.recoverySeconds),
      failures: [...failures, ...[first, second, last].flatMap((settling) => settling.failures)],
      figures: { 'of the recovery, silence that was waited for, at most, s': silenceMs / 1000 },
    };
  },
};
