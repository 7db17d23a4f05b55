/** Environment variables of the functions: names shared by the constructs that set them and the handlers that read them. */
import { z } from 'zod';

export const INDEX_TABLE = 'SIPREC_INDEX_TABLE';
export const FLEET_TABLE = 'SIPREC_FLEET_TABLE';
/** Address of the region's copy queue. */
export const COPY_QUEUE = 'SIPREC_COPY_QUEUE';
/** JSON: who gets copies of this region's recordings, of which, and when (`ReplicationRule[]`). */
export const REPLICATION_RULES = 'SIPREC_REPLICATION_RULES';
/** JSON: who holds copies of whose recordings, over the whole deployment (`ReplicationPair[]`). */
export const REPLICATION_PAIRS = 'SIPREC_REPLICATION_PAIRS';
/** JSON, by region: bucket and KMS key of this region's recordings and of the targets' (`RecordingPlaces`). */
export const RECORDING_PLACES = 'SIPREC_RECORDING_PLACES';

/** Namespace of the function's metrics: the deployment's. Powertools' own variable. */
export const METRICS_NAMESPACE_VARIABLE = 'POWERTOOLS_METRICS_NAMESPACE';

/** Address of the region's queue of manifest events. */
export const MANIFEST_EVENTS = 'SIPREC_MANIFEST_EVENTS';

/** JSON, by region: the buckets of all regions of the deployment. */
export const RECORDING_BUCKETS = 'SIPREC_RECORDING_BUCKETS';
/** JSON: `retention` of the deployment file. */
export const RETENTION = 'SIPREC_RETENTION';

/** Where a region keeps recordings. `kmsKeyId` is an ARN, of the key or of its alias. */
const recordingPlaceSchema = z.object({ bucket: z.string(), kmsKeyId: z.string() });
export type RecordingPlace = z.infer<typeof recordingPlaceSchema>;

/** By region. */
export const recordingPlacesSchema = z.record(z.string(), recordingPlaceSchema);
export type RecordingPlaces = z.infer<typeof recordingPlacesSchema>;

/**
 * Reads a variable that the construct must have set.
 * @throws Error naming the variable
 */
export function requireEnvironment(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error(`environment variable ${name} is not set: the construct of this function must set it`);
  return value;
}

/**
 * Reads a variable that holds JSON.
 * @throws Error naming the variable, if it is missing or not of this shape
 */
export function requireJson<Schema extends z.ZodType>(name: string, schema: Schema): z.output<Schema> {
  const text = requireEnvironment(name);
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`environment variable ${name} cannot be read: ${text}`, { cause });
  }
}
