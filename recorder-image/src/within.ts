/** Waiting for what may never come: a disk that has died does not say so. */

/** Something took longer than it may. */
export class TooLateError extends Error {
  override readonly name = 'TooLateError';
}

/**
 * The outcome of a promise, if it comes in time. Time in which this process itself could not run does not count.
 * @param why says the error
 * @throws TooLateError if the promise takes longer; what becomes of it then is the caller's business
 */
export async function within<Result>(ms: number, promise: Promise<Result>, why: string): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const due = performance.now() + ms;
  const tooLate = () => reject(new TooLateError(why));
  let timer = setTimeout(() => {
    timer = setTimeout(tooLate, performance.now() - due);
  }, ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
