/** The environment that a function's handler finds in Lambda, for tests that import the handler itself. */
import type { TestEmulator } from './emulator.ts';

/**
 * Sets what Lambda sets, nothing else of AWS, and the function's own variables. Powertools writes metrics to this console.
 * @param endpoint of AWS; the emulator's when absent
 * @returns puts back what was there
 */
export function enterFunction(
  { credentials, ...emulator }: Pick<TestEmulator, 'credentials' | 'endpoint'>,
  region: string,
  variables: Record<string, string>,
  endpoint = emulator.endpoint,
): () => void {
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_REGION: region,
    POWERTOOLS_DEV: 'true', // metrics go to the console of here,
    POWERTOOLS_METRICS_DISABLED: 'false', // which alone would mean: no metrics
    ...variables,
  });
  return () => {
    process.env = before;
  };
}
