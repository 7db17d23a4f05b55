/** All drills, by name. */
import type { Drill } from './drill.ts';
import { corruptSpool } from './scenarios/corrupt-spool.ts';
import { diskFull } from './scenarios/disk-full.ts';
import { drachtioLost } from './scenarios/drachtio-lost.ts';
import { killHost } from './scenarios/kill-host.ts';
import { killRecorder } from './scenarios/kill-recorder.ts';
import { killWorker } from './scenarios/kill-worker.ts';
import { s3Outage } from './scenarios/s3-outage.ts';
import { s3Slow } from './scenarios/s3-slow.ts';
import { sigstop } from './scenarios/sigstop.ts';

const ALL: readonly Drill[] = [
  killRecorder,
  killHost,
  killWorker,
  diskFull,
  s3Outage,
  s3Slow,
  drachtioLost,
  sigstop,
  corruptSpool,
];

export const DRILLS: ReadonlyMap<string, Drill> = new Map(ALL.map((drill) => [drill.name, drill]));
