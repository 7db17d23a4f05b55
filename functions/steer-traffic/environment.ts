/** What the function is told by its construct, read once. */
import { z } from 'zod';
import { FLEET_TABLE, requireEnvironment } from '../shared/environment.ts';
import { HOSTED_ZONE_ID, STEERED_NAMES, ZONE } from './constants.ts';

const steeredNames = z.record(z.string(), z.array(z.string()).min(1));

/** The records that this function may change: one per name and slot. */
export interface SteeredZone {
  /** Without a closing dot. */
  zone: string;
  hostedZoneId?: string;
  /** SRV name -> the slots of this region in it. */
  names: Record<string, string[]>;
}

export interface SteeringEnvironment extends SteeredZone {
  tableName: string;
  region: string;
}

/** @throws Error naming the variable that is missing or wrong */
export function readSteeringEnvironment(): SteeringEnvironment {
  const hostedZoneId = process.env[HOSTED_ZONE_ID];
  return {
    zone: requireEnvironment(ZONE),
    ...(hostedZoneId && { hostedZoneId }),
    names: readNames(requireEnvironment(STEERED_NAMES)),
    tableName: requireEnvironment(FLEET_TABLE),
    region: requireEnvironment('AWS_REGION'),
  };
}

function readNames(text: string): Record<string, string[]> {
  try {
    return steeredNames.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`environment variable ${STEERED_NAMES} is not {"SRV name": ["slot"]}: ${text}`, {
      cause,
    });
  }
}
