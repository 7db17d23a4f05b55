/** The order in which SRV targets are tried (RFC 2782, "Usage rules"). Pure. */

export interface SrvChoice {
  priority: number;
  weight: number;
}

/**
 * Orders records: lowest priority first, and within one priority at random by weight.
 * @param random uniform in [0, 1)
 */
export function orderSrv<T extends SrvChoice>(records: readonly T[], random: () => number): T[] {
  const priorities = [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b);
  return priorities.flatMap((priority) =>
    orderByWeight(
      records.filter((record) => record.priority === priority),
      random,
    ),
  );
}

function orderByWeight<T extends SrvChoice>(records: T[], random: () => number): T[] {
  // Weight 0 goes first, which gives it its very small chance: only the number 0 selects it.
  const remaining = records.toSorted((a, b) => Number(a.weight !== 0) - Number(b.weight !== 0));
  const ordered: T[] = [];
  while (remaining.length > 0) {
    const total = remaining.reduce((sum, { weight }) => sum + weight, 0);
    // Both ends count: 0 and the sum itself can come up.
    const chosen = Math.floor(random() * (total + 1));
    let runningSum = 0;
    const index = remaining.findIndex(({ weight }) => {
      runningSum += weight;
      return runningSum >= chosen;
    });
    ordered.push(...remaining.splice(index, 1));
  }
  return ordered;
}
