/** Looking at something outside, again and again. */
import { within } from '../within.ts';

export interface Poll {
  /** The first look is over. Never rejects. */
  first: Promise<void>;
  stop(): void;
}

export interface PollTimes {
  intervalMs: number;
  /** For one look; below the interval. */
  limitMs: number;
}

/**
 * Looks now, and then every so often; one look at a time.
 * @param look its signal aborts when it takes too long, or nobody wants to know any more
 * @param onFailure a look has failed, or took too long
 */
export function poll(
  { intervalMs, limitMs }: PollTimes,
  look: (signal: AbortSignal) => Promise<void>,
  onFailure: (error: unknown) => void,
): Poll {
  const stopped = new AbortController();
  const stop = new Promise<never>((_, reject) => {
    stopped.signal.addEventListener('abort', () => reject(stopped.signal.reason));
  });
  stop.catch(() => {}); // nothing was being looked at
  let looking: Promise<void> | undefined;

  const lookOnce = async () => {
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(limitMs)]);
    try {
      await within(limitMs, Promise.race([look(signal), stop]), `no answer within ${limitMs} ms`);
    } catch (error) {
      if (!stopped.signal.aborted) onFailure(error);
    }
  };
  const turn = (): Promise<void> => {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const timer = setInterval(() => void turn(), intervalMs);
  return {
    first: turn(),
    stop() {
      clearInterval(timer);
      stopped.abort();
    },
  };
}
