/** All drills, by name. */
import type { Drill } from './drill.ts';
import { s3Outage } from './scenarios/s3-outage.ts';

const ALL: readonly Drill[] = [s3Outage];

export const DRILLS: ReadonlyMap<string, Drill> = new Map(ALL.map((drill) => [drill.name, drill]));
