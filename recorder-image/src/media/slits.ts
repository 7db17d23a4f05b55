/** Where a clock that runs slower than ours is corrected, a sample lacks between two packets: the one before comes twice. */

/** What lacks beyond is a gap. */
const MAX_SLIT_SAMPLES = 8;

/** Makes the function that takes pieces in their order, and begins each where the last one ended. */
export function slitFiller<Samples extends Uint8Array | Int16Array>(): (
  at: number,
  samples: Samples,
) => { at: number; samples: Samples } {
  let end = Number.NaN;
  let last = 0;
  return (at, samples) => {
    const slit = at - end;
    const isFilled = slit > 0 && slit <= MAX_SLIT_SAMPLES;
    const filled = isFilled ? extended(samples, slit, last) : samples;
    end = at + samples.length;
    last = samples.at(-1) ?? last;
    return { at: isFilled ? at - slit : at, samples: filled };
  };
}

function extended<Samples extends Uint8Array | Int16Array>(
  samples: Samples,
  by: number,
  value: number,
): Samples {
  const longer = new (samples.constructor as new (length: number) => Samples)(samples.length + by);
  longer.fill(value, 0, by);
  longer.set(samples, by);
  return longer;
}
