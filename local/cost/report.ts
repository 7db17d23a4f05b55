/** An estimate as text. Pure. */
import type { Estimate } from './model.ts';
import { PRICES_DATE, PRICES_REGION } from './prices.ts';

const number = (value: number, digits = 0): string =>
  value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A price as AWS writes it: dollars for so many units. */
const rate = (usd: number, per: number, unit: string): string =>
  `$${usd} / ${per === 1 ? unit : `${number(per)} ${unit}s`}`;

/** Dearest first; then the sums, and what to think of. */
export function formatEstimate(estimate: Estimate): string {
  const rows = estimate.lines
    .filter(({ usd }) => usd > 0)
    .toSorted((one, other) => other.usd - one.usd)
    .map(({ what, quantity, price, usd }) => [
      what,
      number(quantity),
      rate(price.usd, price.per, price.unit),
      number(usd, 2),
    ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const table = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  const { usd, usdPerRecording, busyHourCalls, capacity, capacityWithoutOne, managedUsd } = estimate;
  return [
    `US dollars a month, once as much is kept as retention allows; prices of ${PRICES_REGION}, ${PRICES_DATE}`,
    '',
    ...table,
    '',
    `total                 ${number(usd, 2)}`,
    `for each recording    ${usdPerRecording.toFixed(5)}`,
    `managed alternative   ${number(managedUsd, 2)} (one copy, one region: docs/cost.md)`,
    `calls at once         ${number(busyHourCalls)} in the busiest hour; the first tier takes ${number(capacity)}, ` +
      `and ${number(capacityWithoutOne)} without its largest slot`,
    ...(busyHourCalls > capacityWithoutOne
      ? ['                      NOT ENOUGH with one slot down: add slots, or raise callCapacity']
      : []),
  ].join('\n');
}
