/**
 * Free space of the spool's disk, without waiting for the disk: behind a few fsyncs even `statfs` can take longer than an
 * INVITE may.
 */

/** What was seen so long ago is still told, while it is looked at anew. */
const FRESH_MS = 1_000;
/** What was seen before is told no more: the disk may have died since. */
const USABLE_MS = 5_000;

/**
 * Remembers what `look` saw.
 * @param look bytes free; may take long, or never end
 * @returns bytes free, of at most 5 s ago; waits for `look` only when nothing that young is known. Rejects as `look` does.
 */
export function rememberedFreeSpace(
  look: () => Promise<number>,
  now: () => number = () => performance.now(),
): () => Promise<number> {
  let seen: { bytes: number; at: number } | undefined;
  let looking: Promise<number> | undefined;

  const lookAnew = (): Promise<number> => {
    looking ??= look()
      .then(
        (bytes) => {
          seen = { bytes, at: now() };
          return bytes;
        },
        (error) => {
          seen = undefined;
          throw error;
        },
      )
      .finally(() => {
        looking = undefined;
      });
    return looking;
  };
  return async () => {
    const ageMs = seen ? now() - seen.at : Number.POSITIVE_INFINITY;
    if (seen && ageMs < FRESH_MS) return seen.bytes;
    const anew = lookAnew();
    if (!seen || ageMs > USABLE_MS) return anew;
    anew.catch(() => {}); // the next call hears of it
    return seen.bytes;
  };
}
