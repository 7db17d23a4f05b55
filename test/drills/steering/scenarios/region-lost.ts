/** A whole region is lost at once. */
import type { SteeringDrill } from '../steering-drill.ts';
import { loseSlots } from './lose-slots.ts';

export const regionLost: SteeringDrill = {
  name: 'region-lost',
  what: 'kill -9 of all processes of a region; later they are started again',
  play: (stage) => loseSlots(stage, stage.slotsOf('us-east-1')),
};
