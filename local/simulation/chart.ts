/** Utilisation and weights over time as SVG. Pure. */
import type { Series } from './figures.ts';

export interface ChartRun {
  scenario: string;
  policy: string;
  series: readonly Series[];
}

const PANEL = { width: 300, height: 110, gapX: 50, gapY: 46 };
const MARGIN = { left: 60, top: 90, right: 20, bottom: 30 };
/** Told apart also by those who do not see all colours (Okabe and Ito). */
const COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442', '#000000'];

const PANELS = [
  { title: 'utilisation', of: ({ utilisation }: Series) => utilisation },
  { title: 'share of the weights at its priority', of: ({ weightShare }: Series) => weightShare },
] as const;

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${x}" y="${y}" ${attributes}>${escapeXml(content)}</text>`;

/**
 * Draws two rows of panels per scenario (utilisation; weights), a column per policy, a line per slot of the first SRV name.
 * @returns the text of the SVG file
 */
export function drawChart(title: string, runs: readonly ChartRun[]): string {
  const scenarios = [...new Set(runs.map(({ scenario }) => scenario))];
  const policies = [...new Set(runs.map(({ policy }) => policy))];
  const columnAt = (column: number) => MARGIN.left + column * (PANEL.width + PANEL.gapX);
  const rowAt = (row: number) => MARGIN.top + row * (PANEL.height + PANEL.gapY);
  const width = columnAt(policies.length) - PANEL.gapX + MARGIN.right;
  const height = rowAt(scenarios.length * PANELS.length) - PANEL.gapY + MARGIN.bottom;
  const slots = runs[0]?.series.map(({ slot }) => slot) ?? [];
  const parts = [
    text(MARGIN.left, 28, title, 'font-size="18"'),
    ...slots.map((slot, index) =>
      text(
        MARGIN.left + index * 60,
        50,
        slot,
        `fill="${COLOURS[index % COLOURS.length]}" font-weight="bold"`,
      ),
    ),
    ...runs.flatMap((run) => {
      const x = columnAt(policies.indexOf(run.policy));
      return PANELS.map((panel, index) => {
        const y = rowAt(scenarios.indexOf(run.scenario) * PANELS.length + index);
        const heading = index === 0 ? `${run.scenario}, ${run.policy}: ${panel.title}` : panel.title;
        return drawPanel(x, y, heading, run.series, panel.of);
      });
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
${parts.join('\n')}
</svg>
`;
}

function drawPanel(
  x: number,
  y: number,
  heading: string,
  series: readonly Series[],
  of: (series: Series) => readonly number[],
): string {
  const minutes = series[0]?.minutes ?? [];
  const end = minutes.at(-1) ?? 1;
  const point = (minute: number, value: number): string =>
    `${(x + (minute / end) * PANEL.width).toFixed(1)},${(y + (1 - value) * PANEL.height).toFixed(1)}`;
  const lines = series.map((one, index) => {
    const points = of(one).map((value, place) => point(one.minutes[place] ?? 0, value));
    return `<polyline points="${points.join(' ')}" fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="1.3"/>`;
  });
  const grid = [0, 0.5, 1].map(
    (value) =>
      `<line x1="${x}" x2="${x + PANEL.width}" y1="${y + (1 - value) * PANEL.height}" y2="${y + (1 - value) * PANEL.height}" stroke="#ccc"/>` +
      text(x - 6, y + (1 - value) * PANEL.height + 4, String(value), 'text-anchor="end"'),
  );
  return [
    text(x, y - 6, heading),
    ...grid,
    text(x, y + PANEL.height + 13, '0 min'),
    text(x + PANEL.width, y + PANEL.height + 13, `${end.toFixed(0)} min`, 'text-anchor="end"'),
    ...lines,
  ].join('\n');
}
