/** What a drill lost, as a table for people. */
import type { StreamVerdict } from './verify.ts';

const WORST = 5;

const MEASURES: [title: string, of: (verdict: StreamVerdict) => number][] = [
  ['sent', ({ sent }) => sent * 20],
  ['missing', ({ missingMs }) => missingMs],
  ['missing though it should be there', ({ excessMs }) => excessMs],
  ['differing', ({ differingMs }) => differingMs],
  ["of strangers' streams", ({ strangerMs }) => strangerMs],
  ['missing and in no gap', ({ unlistedMs }) => unlistedMs],
  ['there and in a gap', ({ wronglyListedMs }) => wronglyListedMs],
];

/** Milliseconds per stream: over all streams, and those that lost most. */
export function describeLosses(
  streams: readonly StreamVerdict[],
  figures: Record<string, string | number>,
): string {
  const summary = MEASURES.map(([title, of]) => {
    const values = streams.map(of).sort((one, other) => one - other);
    const sum = values.reduce((total, value) => total + value, 0);
    const touched = values.filter((value) => value > 0).length;
    return [title, values.at(0) ?? 0, sum / Math.max(1, values.length), values.at(-1) ?? 0, touched];
  });
  const worst = [...streams]
    .sort((one, other) => other.missingMs + other.differingMs - one.missingMs - one.differingMs)
    .slice(0, WORST)
    .filter(({ missingMs, differingMs }) => missingMs + differingMs > 0);
  return [
    table([
      [`ms per stream (${streams.length} streams)`, 'least', 'mean', 'most', 'streams with any'],
      ...summary,
    ]),
    ...(worst.length > 0
      ? [
          table([
            ['worst streams', 'label', 'sent', 'missing', 'should be there', 'differing', 'causes'],
            ...worst.map(({ sipCallId, label, sent, missingMs, excessMs, differingMs, causes }) => [
              sipCallId,
              label,
              sent * 20,
              missingMs,
              excessMs,
              differingMs,
              [...causes].join(' ') || '-',
            ]),
          ]),
        ]
      : []),
    ...Object.entries(figures).map(([name, value]) => `${name}: ${value}`),
  ].join('\n');
}

/** Columns side by side: words to the left, numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const text = (cell: string | number) =>
    typeof cell === 'number' ? String(Math.round(cell * 10) / 10) : cell;
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => text(row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0
            ? text(cell).padEnd(widths[column] as number)
            : text(cell).padStart(widths[column] as number),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
