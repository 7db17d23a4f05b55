import { SDP } from '../../helpers/src.ts';
import type { Drill } from '../drill.ts';
import { PortWatch } from '../listening.ts';
import { settled } from './settled.ts';

/** Nobody may be missing at the ports for longer. */
const LISTENER_LIMIT_MS = 1_000;
/** Of SIP, while a worker is dead: what an SRC waits before it sends a request again (RFC 3261, T1), twice. */
const ANSWER_LIMIT_MS = 1_000;
const NEW_CALLS = 2;

export const killWorker: Drill = {
  name: 'kill-worker',
  what: 'one of two media workers dies; SIP goes on, and the worker is replaced',
  variables: () => ({ SIPREC_MEDIA_WORKERS: '2', SIPREC_DRILLS: '1' }),
  async play(stage, { calls, talkMs, log }) {
    const recorder = await stage.startRecorder();
    log(`${calls} calls`);
    const placed = await stage.placeCalls(calls);
    await stage.pause(talkMs);

    const watch = new PortWatch(placed.flatMap(({ streams }) => streams.map(({ rtpPort }) => rtpPort)));
    stage.onDispose(() => watch.stop());
    log('a worker dies');
    process.kill(recorder.child.pid, 'SIGUSR2');
    const diedAt = performance.now();
    // A call that runs, and new ones, at the same time.
    const [reinvite, added] = await Promise.all([
      placed[0]?.call.request('INVITE', [SDP], placed[0].call.offer()),
      stage.placeCalls(NEW_CALLS),
    ]);
    const answerMs = performance.now() - diedAt;
    const died = await recorder.logs.find('media worker died');
    await stage.pause(talkMs);
    watch.stop(); // ports that are closed in the end are nobody's
    await stage.hangUp([...placed, ...added]);
    const all = [...placed, ...added];
    const { recoverySeconds: toManifests, failures } = await settled(stage, {
      count: all.length,
      spools: [stage.spool],
    });
    if (reinvite?.status !== 200) failures.push(`a re-INVITE was answered with ${reinvite?.status}`);
    if (answerMs > ANSWER_LIMIT_MS)
      failures.push(`SIP took ${Math.round(answerMs)} ms while a worker was dead, over ${ANSWER_LIMIT_MS}`);
    if (!(Number(died.streams) > 0))
      failures.push('the worker that died had no streams: nothing was drilled');
    const deafPorts = watch.portsDeafFor(LISTENER_LIMIT_MS);
    if (deafPorts.length > 0)
      failures.push(
        `for over ${LISTENER_LIMIT_MS} ms nobody listened at ${deafPorts.length} ports, such as ${deafPorts[0]}`,
      );
    return {
      expected: [
        {
          calls: all, // those that lost nothing are complete; whoever lost something may not say so
          statuses: ['partial', 'complete'],
          endings: ['bye'],
          causes: ['crash'],
          maxMissingMs: 1_000,
        },
      ],
      excused: watch.excuse,
      recoverySeconds: watch.longestMs / 1000,
      failures,
      figures: {
        'streams of the dead worker': Number(died.streams),
        'longest time without a listener, ms': Math.round(watch.longestMs),
        'SIP meanwhile, ms': Math.round(answerMs),
        'last BYE to last manifest, s': toManifests.toFixed(1),
      },
    };
  },
};
