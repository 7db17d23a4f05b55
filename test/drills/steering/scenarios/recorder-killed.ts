/** The host of a recorder is lost, and comes back with its spool. */
import type { SteeringDrill } from '../steering-drill.ts';
import { loseSlots } from './lose-slots.ts';

export const recorderKilled: SteeringDrill = {
  name: 'recorder-killed',
  what: 'kill -9 of a recorder and its SIP server; later they are started again',
  play: (stage) => loseSlots(stage, [stage.slot('use1-1')]),
};
