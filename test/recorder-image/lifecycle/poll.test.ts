import { poll } from '../../../recorder-image/src/lifecycle/poll.ts';

/** Looks that a test ends by hand. */
function setUp({ intervalMs = 1, limitMs = 60_000 } = {}) {
  const looks: { signal: AbortSignal; answer: PromiseWithResolvers<void> }[] = [];
  const failures: string[] = [];
  let next = Promise.withResolvers<void>();
  const watch = poll(
    { intervalMs, limitMs },
    (signal) => {
      const answer = Promise.withResolvers<void>();
      looks.push({ signal, answer });
      next.resolve();
      next = Promise.withResolvers();
      return answer.promise;
    },
    (error) => failures.push((error as Error).message),
  );
  const untilLooks = async (count: number) => {
    while (looks.length < count) await next.promise;
  };
  return { looks, failures, watch, untilLooks };
}

const tenIntervals = () => new Promise((resolve) => setTimeout(resolve, 10));

describe('polling', () => {
  it('looks at once, and not again before that look is over', async () => {
    const { looks, watch, untilLooks } = setUp();
    expect(looks).toHaveLength(1);
    await tenIntervals();
    expect(looks).toHaveLength(1);
    looks[0]?.answer.resolve();
    await watch.first;
    await untilLooks(2);
    watch.stop();
  });

  it('goes on after a look that fails', async () => {
    const { looks, failures, watch, untilLooks } = setUp();
    looks[0]?.answer.reject(new Error('refused'));
    await watch.first;
    expect(failures).toEqual(['refused']);
    await untilLooks(2);
    watch.stop();
  });

  it('gives up a look that takes too long, and tells it so', async () => {
    const { looks, failures, watch, untilLooks } = setUp({ limitMs: 20 });
    await watch.first;
    expect(failures).toEqual(['no answer within 20 ms']);
    expect(looks[0]?.signal.aborted).toBe(true);
    await untilLooks(2);
    expect(looks[1]?.signal.aborted).toBe(false);
    watch.stop();
  });

  it('stops in the middle of a look, which is no failure', async () => {
    const { looks, failures, watch } = setUp();
    watch.stop();
    await watch.first;
    expect(looks[0]?.signal.aborted).toBe(true);
    await tenIntervals();
    expect(looks).toHaveLength(1);
    expect(failures).toEqual([]);
  });
});
