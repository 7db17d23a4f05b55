/** All steering drills, by name. */
import { allUnhealthy } from './scenarios/all-unhealthy.ts';
import { overload } from './scenarios/overload.ts';
import { recorderHung } from './scenarios/recorder-hung.ts';
import { recorderKilled } from './scenarios/recorder-killed.ts';
import { recorderUnreachable } from './scenarios/recorder-unreachable.ts';
import { regionClosed } from './scenarios/region-closed.ts';
import { regionLost } from './scenarios/region-lost.ts';
import { rollingDeploy } from './scenarios/rolling-deploy.ts';
import { route53Frozen } from './scenarios/route53-frozen.ts';
import { weightsFollowLoad } from './scenarios/weights-follow-load.ts';
import type { SteeringDrill } from './steering-drill.ts';

const ALL: readonly SteeringDrill[] = [
  recorderKilled,
  recorderHung,
  recorderUnreachable,
  regionLost,
  regionClosed,
  route53Frozen,
  allUnhealthy,
  overload,
  rollingDeploy,
  weightsFollowLoad,
];

export const STEERING_DRILLS: ReadonlyMap<string, SteeringDrill> = new Map(
  ALL.map((drill) => [drill.name, drill]),
);
