import type { Drill } from '../drill.ts';
import { settled } from './settled.ts';

const LONGEST_FREEZE_MS = 20_000;

export const sigstop: Drill = {
  name: 'sigstop',
  what: 'the recorder is frozen for 20 s (in a short drill for twice the time of talking), and goes on',
  async play(stage, { calls, talkMs, log }) {
    const recorder = await stage.startRecorder();
    log(`${calls} calls`);
    const placed = await stage.placeCalls(calls);
    await stage.pause(talkMs);
    const freezeMs = Math.min(LONGEST_FREEZE_MS, 2 * talkMs);
    log(`frozen for ${freezeMs / 1000} s`);
    process.kill(recorder.child.pid, 'SIGSTOP');
    const frozenAtMs = Date.now();
    await stage.pause(freezeMs).finally(() => process.kill(recorder.child.pid, 'SIGCONT'));
    const thawedAtMs = Date.now();
    log('it goes on');
    await stage.pause(talkMs);
    await stage.hangUp(placed);
    const { recoverySeconds, failures } = await settled(stage, {
      count: placed.length,
      spools: [stage.spool],
    });
    const drops = recorder.logs.lines.filter(({ msg }) => msg.includes('drop')).length;
    return {
      // What the buffers of the kernel could not hold is missing, and nothing besides.
      expected: [{ calls: placed, statuses: ['complete', 'partial'], endings: ['bye'], causes: ['dropped'] }],
      excused: (_stream, _packet, sentAtMs) => sentAtMs >= frozenAtMs && sentAtMs <= thawedAtMs + THAW_MS,
      recoverySeconds,
      failures,
      figures: { 'log lines about drops': drops },
    };
  },
};

/** While the recorder reads what has piled up, buffers are still full. */
const THAW_MS = 1_000;
