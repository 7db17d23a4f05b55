/**
 * Whether this instance is about to go: Auto Scaling replaces it, or EC2 takes a Spot Instance back. Both say so in the instance's
 * metadata, which is asked for every 5 s (the interval that EC2's user guide recommends), by IMDSv2 only.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { Trouble } from '../trouble.ts';
import { type PollTimes, poll } from './poll.ts';

const TIMES: PollTimes = { intervalMs: 5_000, limitMs: 2_000 };
/** The longest that IMDSv2 grants; one that has expired gets 401 and is replaced. */
const TOKEN_SECONDS = 21_600;
const UNAUTHORIZED = 401;
const NOT_FOUND = 404;

const AUTO_SCALING = 'autoscaling/target-lifecycle-state';
const SPOT = 'spot/instance-action';

export interface TerminationNotice {
  why: string;
  /** When the instance goes, if it is told. */
  at?: Date;
}

export interface TerminationWatchOptions {
  /** Of the metadata service: `http://169.254.169.254`. */
  endpoint: string;
  /** Called once; then nothing more is asked. */
  onNotice: (notice: TerminationNotice) => void;
  logger: Logger;
  intervalMs?: number;
}

/** @returns what ends the watch */
export function watchTermination(options: TerminationWatchOptions): () => void {
  const { endpoint, onNotice, logger, intervalMs = TIMES.intervalMs } = options;
  const metadata = new InstanceMetadata(endpoint);
  const trouble = new Trouble(logger, {
    begins: `the instance's metadata cannot be read from ${endpoint}; its end would come unannounced`,
    ends: "the instance's metadata can be read again",
  });
  let given = false;
  const watch = poll(
    { ...TIMES, intervalMs },
    async (signal) => {
      const notice = (await autoScalingNotice(metadata, signal)) ?? (await spotNotice(metadata, signal));
      trouble.worked();
      if (!notice || given) return;
      given = true;
      watch.stop();
      onNotice(notice);
    },
    (error) => trouble.failed(error),
  );
  return watch.stop;
}

async function autoScalingNotice(
  metadata: InstanceMetadata,
  signal: AbortSignal,
): Promise<TerminationNotice | undefined> {
  const state = await metadata.get(AUTO_SCALING, signal);
  return state?.trim() === 'Terminated' ? { why: 'Auto Scaling terminates the instance' } : undefined;
}

const spotSchema = z.object({ action: z.string(), time: z.iso.datetime() });

async function spotNotice(
  metadata: InstanceMetadata,
  signal: AbortSignal,
): Promise<TerminationNotice | undefined> {
  const text = await metadata.get(SPOT, signal);
  if (text === undefined) return undefined;
  const why = 'EC2 takes the Spot Instance back';
  try {
    return { why, at: new Date(spotSchema.parse(JSON.parse(text)).time) };
  } catch {
    return { why }; // that it is there says it
  }
}

/** IMDSv2: a token first, then items. */
class InstanceMetadata {
  readonly #endpoint: string;
  #token: string | undefined;

  constructor(endpoint: string) {
    this.#endpoint = endpoint.replace(/\/+$/, '');
  }

  /**
   * @returns the item; undefined if there is none
   * @throws Error if the service does not answer as it should
   */
  async get(item: string, signal: AbortSignal): Promise<string | undefined> {
    this.#token ??= await this.#ask('api/token', signal, 'PUT', {
      'X-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_SECONDS),
    });
    return this.#ask(`meta-data/${item}`, signal, 'GET', {
      'X-aws-ec2-metadata-token': this.#token ?? '',
    });
  }

  async #ask(
    path: string,
    signal: AbortSignal,
    method: 'GET' | 'PUT',
    headers: Record<string, string>,
  ): Promise<string | undefined> {
    const url = `${this.#endpoint}/latest/${path}`;
    const response = await fetch(url, { method, headers, signal, redirect: 'error' });
    const body = await response.text();
    if (response.ok) return body;
    if (response.status === NOT_FOUND && method === 'GET') return undefined;
    if (response.status === UNAUTHORIZED) this.#token = undefined; // expired: the next look gets another
    throw new Error(`${method} ${url}: ${response.status}`);
  }
}
