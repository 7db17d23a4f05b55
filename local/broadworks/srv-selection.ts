/** The order in which SRV targets are tried (RFC 2782, "Usage rules"). Pure. */

export interface SrvChoice {
  priority: number;
  weight: number;
}

/** Orders records as they have to lie for `chooseByWeight`. */
export const byPriorityAndZero = (a: SrvChoice, b: SrvChoice): number =>
  // Weight 0 goes first, which gives it its very small chance: only the number 0 selects it.
  a.priority - b.priority || Number(a.weight !== 0) - Number(b.weight !== 0);

/**
 * Chooses one of the records [from, to), which share a priority, at random by weight; weights of 0 lie first.
 * @param random uniform in [0, 1)
 * @returns its index
 */
export function chooseByWeight(
  weights: ArrayLike<number>,
  from: number,
  to: number,
  random: () => number,
): number {
  let total = 0;
  for (let index = from; index < to; index++) total += weights[index] as number;
  // Both ends count: 0 and the sum itself can come up.
  let rest = Math.floor(random() * (total + 1));
  for (let index = from; index < to; index++) {
    rest -= weights[index] as number;
    if (rest <= 0) return index;
  }
  return to - 1;
}

/**
 * Orders records: lowest priority first, and within one priority at random by weight.
 * @param random uniform in [0, 1)
 */
export function orderSrv<T extends SrvChoice>(records: readonly T[], random: () => number): T[] {
  const remaining = records.toSorted(byPriorityAndZero);
  const ordered: T[] = [];
  while (remaining.length > 0) {
    const sameEnd = remaining.findLastIndex(({ priority }) => priority === remaining[0]?.priority) + 1;
    const weights = remaining.map(({ weight }) => weight);
    ordered.push(...remaining.splice(chooseByWeight(weights, 0, sameEnd, random), 1));
  }
  return ordered;
}
