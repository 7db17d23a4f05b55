/** All drills of recordings, by name. */
import type { RecordingsDrill } from './recordings-drill.ts';
import { corruptCopy } from './scenarios/corrupt-copy.ts';
import { doubleEvents } from './scenarios/double-events.ts';
import { indexLost } from './scenarios/index-lost.ts';
import { lostEvents } from './scenarios/lost-events.ts';
import { regionGone } from './scenarios/region-gone.ts';
import { targetDown } from './scenarios/target-down.ts';
import { window } from './scenarios/window.ts';

const ALL: readonly RecordingsDrill[] = [
  targetDown,
  window,
  lostEvents,
  doubleEvents,
  indexLost,
  corruptCopy,
  regionGone,
];

export const RECORDINGS_DRILLS: ReadonlyMap<string, RecordingsDrill> = new Map(
  ALL.map((drill) => [drill.name, drill]),
);
