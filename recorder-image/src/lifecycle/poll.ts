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
  let isStopped = false;
  /** The look that is under way. */
  let current: AbortController | undefined;
  let looking: Promise<void> | undefined;

  // Each look has a signal and a promise of its own: what lives as long as the process would gather what waits for it.
  const lookOnce = async () => {
    const attempt = new AbortController();
    current = attempt;
    const { promise: gaveUp, reject } = Promise.withResolvers<never>();
    attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason));
    try {
      const answered = Promise.race([look(attempt.signal), gaveUp]);
      await within(limitMs, answered, `no answer within ${limitMs} ms`);
    } catch (error) {
      if (!isStopped) onFailure(error);
    } finally {
      attempt.abort(); // what comes now is too late
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
      isStopped = true;
      clearInterval(timer);
      current?.abort();
    },
  };
}
