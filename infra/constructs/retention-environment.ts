/** What functions are told of retention, and of all regions' buckets. */
import type { Deployment } from '../../core/deployment.ts';
import { recordingsBucketName } from '../../core/names.ts';
import type { Retention } from '../../core/retention.ts';

/** By region. */
export const recordingBuckets = (deployment: Deployment): Record<string, string> =>
  Object.fromEntries(deployment.regions.map(({ name }) => [name, recordingsBucketName(deployment, name)]));

/** The tenants do not fit into what a function can be told: Lambda takes 4 KB of environment variables altogether. */
export class TooManyTenantsError extends Error {
  constructor(bytes: number, maxBytes: number) {
    super(
      `retention takes ${bytes} bytes, and a function has room for ${maxBytes}: ` +
        'let `days` be what most tenants have, and name the others only',
    );
    this.name = 'TooManyTenantsError';
  }
}

/** @throws TooManyTenantsError */
export function retentionText(retention: Retention, maxBytes: number): string {
  const text = JSON.stringify(retention);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) throw new TooManyTenantsError(bytes, maxBytes);
  return text;
}
