/**
 * The region switch: an SSM parameter of this region by which an operator closes it to new calls, and opens it again. Recorders ask
 * for it; nobody needs Route 53's API, which may be what has failed. DNS follows by the health checks.
 */
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import type { Logger } from 'pino';
import { REGION_SWITCH_VALUES, type RegionSwitch as Value } from '../../../core/fleet.ts';
import { oneQuickTry } from '../aws.ts';
import { Trouble } from '../trouble.ts';
import { type PollTimes, poll } from './poll.ts';

const TIMES: PollTimes = { intervalMs: 5_000, limitMs: 2_000 };

/** The way to an SSM parameter of this region. */
export function ssmParameter(name: string): {
  read: (signal: AbortSignal) => Promise<string>;
  close(): void;
} {
  const client = new SSMClient(oneQuickTry(TIMES.limitMs));
  return {
    async read(abortSignal) {
      const { Parameter } = await client.send(new GetParameterCommand({ Name: name }), { abortSignal });
      return Parameter?.Value ?? '';
    },
    close: () => client.destroy(),
  };
}

export interface RegionSwitchOptions {
  /** Of the parameter, for messages. */
  name: string;
  /** Its value; rejects if it cannot be had. */
  read: (signal: AbortSignal) => Promise<string>;
  /** Told whenever it is another than before; before the first time the region is open. */
  onChange: (value: Value) => void;
  logger: Logger;
  intervalMs?: number;
}

export interface RegionSwitch {
  /** It has been read, or could not be. */
  first: Promise<void>;
  stop(): void;
}

/** Follows the switch. While it cannot be read, or says something unknown, the last known value holds; at first: open. */
export function watchRegionSwitch(options: RegionSwitchOptions): RegionSwitch {
  const { name, read, onChange, logger, intervalMs = TIMES.intervalMs } = options;
  const trouble = new Trouble(logger, {
    begins: `the region switch ${name} cannot be read; what it said last holds (at first: open)`,
    ends: `the region switch ${name} can be read again`,
  });
  let known: Value = 'open';
  let refused: string | undefined;

  const take = (text: string) => {
    const value = REGION_SWITCH_VALUES.find((candidate) => candidate === text.trim());
    if (value === undefined) {
      if (text !== refused)
        logger.error(
          { value: text },
          `the region switch ${name} is ${JSON.stringify(text)}, which means nothing: set it to ${REGION_SWITCH_VALUES.join(' or ')}; the region counts as ${known} meanwhile`,
        );
      refused = text;
      return;
    }
    refused = undefined;
    if (value === known) return;
    known = value;
    onChange(value);
  };
  return poll(
    { ...TIMES, intervalMs },
    async (signal) => {
      const text = await read(signal);
      if (signal.aborted) return; // too late: a newer answer may have been taken
      trouble.worked();
      take(text);
    },
    (error) => trouble.failed(error),
  );
}
