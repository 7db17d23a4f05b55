import { cpSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { runRecovery } from '../../helpers/recorder.ts';
import type { Drill } from '../drill.ts';
import { PortWatch } from '../listening.ts';
import { recordingsIn } from '../stage.ts';
import { ORPHAN_SILENCE } from './orphans.ts';
import { settled } from './settled.ts';

export const killHost: Drill = {
  name: 'kill-host',
  what: 'the recorder is killed (-9), the RTP stops, and others get its spool: half `recover`, half a new recorder',
  variables: ORPHAN_SILENCE,
  async play(stage, { calls, talkMs, log }) {
    const victim = await stage.startRecorder();
    log(`${calls} calls`);
    const placed = await stage.placeCalls(calls);
    await stage.pause(talkMs);
    const watch = new PortWatch(placed.flatMap(({ streams }) => streams.map(({ rtpPort }) => rtpPort)));
    stage.onDispose(() => watch.stop());
    log('kill -9');
    const killedAtMs = Date.now();
    await victim.kill();
    watch.died(killedAtMs);
    await stage.stopMedia(placed);
    watch.stop();

    // The volume of the dead host, attached to two others.
    const spools = {
      command: join(stage.directory, 'attached-1'),
      recorder: join(stage.directory, 'attached-2'),
    };
    for (const spool of Object.values(spools)) mkdirSync(spool, { mode: 0o700 });
    const failures: string[] = [];
    recordingsIn(stage.spool).forEach((name, index) => {
      const from = join(stage.spool, name);
      if (index % 2 === 0) renameSync(from, join(spools.recorder, name));
      else cpSync(from, join(spools.command, name), { recursive: true });
    });
    log('half of the spool to `recover`, half to a new recorder');
    const since = performance.now();
    const recovery = runRecovery(spools.command, {
      endpoint: stage.link.endpoint,
      bucket: stage.bucket,
      logFile: join(stage.directory, 'recover.log'),
      signal: stage.signal,
    });
    recovery.catch(() => {}); // awaited below
    await stage.startRecorder({ spool: spools.recorder });
    const { recoverySeconds, ...left } = await settled(stage, {
      count: placed.length,
      spools: Object.values(spools),
      since,
    });
    const { code, lines } = await recovery;
    if (code !== 0) failures.push(`recover ended with exit code ${code}: ${lines.at(-1)}`);
    return {
      expected: [
        {
          calls: placed,
          statuses: ['recovered'],
          endings: ['crash'],
          causes: ['crash'],
          maxMissingMs: 1_000,
        },
      ],
      excused: watch.excuse,
      recoverySeconds,
      failures: [...failures, ...left.failures],
      figures: { 'recover said': lines.at(-1) ?? 'nothing' },
    };
  },
};
