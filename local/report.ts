/** What the main job shows at its end: one line per call, and what is wrong with it. */
import type { VerifiedCall } from './verify.ts';

const COLUMNS: readonly [title: string, value: (verified: VerifiedCall) => string][] = [
  ['call', ({ call }) => String(call.callNumber)],
  ['recorder', ({ recording, call }) => recording?.slot ?? call.recorder?.target.split('.')[0] ?? '-'],
  ['region', ({ recording }) => recording?.homeRegion ?? '-'],
  [
    'parties',
    ({ call }) => `${call.parties.recordedUser.number} ${arrow(call.direction)} ${call.parties.other.number}`,
  ],
  ['direction', ({ call }) => call.direction],
  ['duration', ({ recording }) => seconds(recording?.audio?.durationMs)],
  ['status', ({ recording, call }) => recording?.status ?? (call.recorder ? 'not found' : 'not recorded')],
  ['copies', ({ copies }) => copies.join(', ') || '-'],
  ['copied in', ({ copyLagMs }) => seconds(copyLagMs)],
  ['audio', ({ audio, problems }) => `${audio} ${problems.length === 0 ? 'ok' : 'WRONG'}`],
  ['recording', ({ recording }) => recording?.recordingId ?? '-'],
];

/** The table, with a line of text for every problem below it. */
export function reportTable(verified: VerifiedCall[]): string {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...verified.map((row) => COLUMNS.map(([, value]) => value(row))),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const lines = rows.map((row) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i] as number)).join('  ')}`.trimEnd(),
  );
  const problems = verified.flatMap(({ call, problems }) =>
    problems.map((problem) => `  call ${call.callNumber}: ${problem}`),
  );
  return [...lines, ...(problems.length > 0 ? ['', ...problems] : [])].join('\n');
}

const arrow = (direction: 'outgoing' | 'incoming'): string => (direction === 'outgoing' ? '->' : '<-');

const seconds = (ms: number | undefined): string => (ms === undefined ? '-' : `${(ms / 1000).toFixed(2)} s`);
