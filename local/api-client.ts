/** A client of the query API: signs requests by SigV4, as IAM authorization wants it. */
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { LocalCloudError } from './cloud/errors.ts';

export interface ApiClientOptions {
  /** Address of the API's stage, without a closing slash. */
  url: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}

/** The API answered with an error; `status` is HTTP's. */
export class ApiError extends Error {
  readonly status: number;

  constructor(url: URL, status: number, body: string) {
    super(`GET ${url.pathname}${url.search} answered ${status}: ${body.slice(0, 500)}`);
    this.name = 'ApiError';
    this.status = status;
  }
}

/**
 * GETs a resource.
 * @param path with a leading slash, and the query
 * @returns the parsed JSON
 * @throws ApiError for any status but 200, LocalCloudError when nobody answers
 */
export async function apiGet(
  { url, region, credentials }: ApiClientOptions,
  path: string,
  query: Record<string, string> = {},
): Promise<unknown> {
  const target = new URL(url + path);
  target.search = new URLSearchParams(query).toString();
  const signer = new SignatureV4({ service: 'execute-api', region, credentials, sha256: Sha256 });
  const { headers } = await signer.sign({
    method: 'GET',
    protocol: target.protocol,
    hostname: target.hostname,
    port: Number(target.port) || undefined,
    path: target.pathname,
    query,
    headers: { host: target.host },
  });
  const response = await fetch(target, { headers }).catch((cause) => {
    const why = (cause.cause as Error | undefined)?.message ?? cause.message;
    throw new LocalCloudError(`the query API at ${target.origin} does not answer: ${why}`, { cause });
  });
  const body = await response.text();
  if (response.status !== 200) throw new ApiError(target, response.status, body);
  return JSON.parse(body);
}
