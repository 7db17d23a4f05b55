/** The deploy guide says of each step what to expect, and what to do if it is otherwise. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const GUIDE = readFileSync(join(import.meta.dirname, '../../docs/deploy.md'), 'utf8');

/** They say what is so. */
const NOTHING_TO_DO = ['What must never change', 'When a region fails', 'What stays, and how to delete it'];

interface Section {
  heading: string;
  text: string;
}

const sections = (): Section[] =>
  GUIDE.split(/^#{2,3} /m)
    .slice(1)
    .map((part) => {
      const [heading = '', ...lines] = part.split('\n');
      return { heading, text: lines.join('\n').trim() };
    })
    .filter(({ heading, text }) => text !== '' && !NOTHING_TO_DO.includes(heading));

/** Rows of tables, as cells, with their header. */
function rows(text: string): { header: string[]; cells: string[] }[] {
  const cellsOf = (line: string) =>
    line
      .replace(/^\||\|$/g, '')
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
  return text.split('\n\n').flatMap((block) => {
    const [head, rule, ...lines] = block.split('\n').filter((line) => line.startsWith('|'));
    if (!head || !rule?.startsWith('| ---')) return [];
    return lines.map((line) => ({ header: cellsOf(head), cells: cellsOf(line) }));
  });
}

it('has the steps of a first deployment in their order', () => {
  const numbers = sections().flatMap(({ heading }) => /^(\d+)\. /.exec(heading)?.[1] ?? []);
  expect(numbers.map(Number)).toEqual(Array.from({ length: 12 }, (_, at) => at + 1));
});

it.each(sections().map(({ heading, text }) => [heading, text]))(
  '%s: what to expect, and if not',
  (_, text) => {
    const headers = rows(text).map(({ header }) => header.join(' | '));
    expect(headers.some((header) => /expect/.test(header) && /if not/.test(header))).toBe(true);
  },
);

it('leaves no row of a step without an answer', () => {
  const steps = sections().flatMap(({ text }) => rows(text));
  const isEmpty = ({ header, cells }: (typeof steps)[number]) =>
    header.some((column, at) => /expect|if not/.test(column) && cells[at] === '');
  expect(steps.length).toBeGreaterThan(80);
  expect(steps.filter(isEmpty).map(({ cells }) => cells)).toEqual([]);
});

it('has tables whose rows have all columns', () => {
  for (const { text } of sections())
    for (const { header, cells } of rows(text))
      expect({ cells, columns: cells.length }).toEqual({ cells, columns: header.length });
});
