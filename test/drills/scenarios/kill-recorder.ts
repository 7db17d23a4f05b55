import type { Drill } from '../drill.ts';
import { PortWatch } from '../listening.ts';
import { ORPHAN_SILENCE, orphanSilenceMs } from './orphans.ts';
import { finishedLimitMs, settled } from './settled.ts';

/** Nobody may be missing at the ports for longer. */
const LISTENER_LIMIT_MS = 5_000;

export const killRecorder: Drill = {
  name: 'kill-recorder',
  what: 'the recorder is killed (-9) and restarted at once, while the RTP of all calls goes on',
  variables: ORPHAN_SILENCE,
  async play(stage, options) {
    const { calls, talkMs, log } = options;
    const victim = await stage.startRecorder();
    log(`${calls} calls`);
    const placed = await stage.placeCalls(calls);
    await stage.pause(talkMs);

    const watch = new PortWatch(placed.flatMap(({ streams }) => streams.map(({ rtpPort }) => rtpPort)));
    stage.onDispose(() => watch.stop());
    log('kill -9, and a restart');
    const killedAtMs = Date.now();
    await victim.kill();
    watch.died(killedAtMs);
    const restartedAtMs = Date.now();
    await stage.startRecorder();
    log('the successor is ready');
    await stage.pause(talkMs);
    watch.stop(); // ports that are closed in the end are nobody's
    await stage.stopMedia(placed);
    log('the media of all calls has ended');
    const { recoverySeconds: toManifests, failures } = await settled(stage, {
      count: placed.length,
      spools: [stage.spool],
      limitMs: finishedLimitMs + orphanSilenceMs(options),
    });
    const deafPorts = watch.portsDeafFor(LISTENER_LIMIT_MS);
    if (deafPorts.length > 0)
      failures.push(
        `for over ${LISTENER_LIMIT_MS} ms nobody listened at ${deafPorts.length} ports, such as ${deafPorts[0]}`,
      );
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
      recoverySeconds: Math.max(0, watch.lastOpenedMs - restartedAtMs) / 1000,
      failures,
      figures: {
        'longest time without a listener, ms': Math.round(watch.longestMs),
        'end of the media to the last manifest, s': toManifests.toFixed(1),
        'of which the recorder waited for more media, s': orphanSilenceMs(options) / 1000,
      },
    };
  },
};
