/** The figures as text. Pure. */
import type { Figures } from './figures.ts';

type Column = [title: string, of: (rows: readonly Figures[]) => string];

const values = (rows: readonly Figures[], figure: keyof Figures): number[] =>
  rows.map((row) => row[figure]).filter((value) => typeof value === 'number');

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

/** The average over the seeds; with several, how far they lie apart. */
const average =
  (figure: keyof Figures, digits: number): Column[1] =>
  (rows) => {
    const numbers = values(rows, figure);
    if (numbers.length === 0) return '-';
    const [low, high] = [Math.min(...numbers).toFixed(digits), Math.max(...numbers).toFixed(digits)];
    return mean(numbers).toFixed(digits) + (low === high ? '' : ` (${low}-${high})`);
  };

const COLUMNS: readonly Column[] = [
  ['scenario', (rows) => rows[0]?.scenario ?? ''],
  ['policy', (rows) => rows[0]?.policy ?? ''],
  ['calls', (rows) => mean(values(rows, 'calls')).toFixed(0)],
  ['refused 503', average('refusedInvites', 0)],
  ['unanswered', average('unansweredInvites', 0)],
  ['failed over', average('failedOverCalls', 0)],
  ['lost', average('lostCalls', 0)],
  ['cut', average('cutCalls', 0)],
  ['highest/mean', average('highestOverMean', 3)],
  ['worst minute', average('highestOverMeanWorst', 3)],
  ['last INVITE s', average('secondsToLastInvite', 0)],
  ['changes/slot h', average('changesPerSlotHour', 1)],
];

/** One row per scenario and policy. */
export function formatTable(all: readonly Figures[]): string {
  const groups = new Map<string, Figures[]>();
  for (const row of all) {
    const key = `${row.scenario} ${row.policy}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const lines = [
    COLUMNS.map(([title]) => title),
    ...[...groups.values()].map((rows) => COLUMNS.map(([, of]) => of(rows))),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        // Names to the left, numbers to the right.
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
