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

  constructor(method: string, url: URL, status: number, body: string) {
    super(`${method} ${url.pathname}${url.search} answered ${status}: ${body.slice(0, 500)}`);
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
export const apiGet = (
  options: ApiClientOptions,
  path: string,
  query: Record<string, string> = {},
): Promise<unknown> => apiRequest(options, { method: 'GET', path, query });

export interface ApiRequest {
  method: 'GET' | 'PUT' | 'DELETE';
  /** With a leading slash. */
  path: string;
  query?: Record<string, string>;
  /** Sent as JSON. */
  body?: object;
}

/**
 * Asks for anything.
 * @returns the parsed JSON
 * @throws ApiError for any status but 200 and 202, LocalCloudError when nobody answers
 */
export async function apiRequest(
  { url, region, credentials }: ApiClientOptions,
  { method, path, query = {}, body }: ApiRequest,
): Promise<unknown> {
  const target = new URL(url + path);
  target.search = new URLSearchParams(query).toString();
  const signer = new SignatureV4({ service: 'execute-api', region, credentials, sha256: Sha256 });
  const { headers } = await signer.sign({
    method,
    protocol: target.protocol,
    hostname: target.hostname,
    port: Number(target.port) || undefined,
    path: target.pathname,
    query,
    headers: { host: target.host, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  const sent = { method, headers, ...(body && { body: JSON.stringify(body) }) };
  const response = await fetch(target, sent).catch((cause) => {
    const why = (cause.cause as Error | undefined)?.message ?? cause.message;
    throw new LocalCloudError(`the query API at ${target.origin} does not answer: ${why}`, { cause });
  });
  const answer = await response.text();
  if (![200, 202].includes(response.status)) throw new ApiError(method, target, response.status, answer);
  return JSON.parse(answer);
}
