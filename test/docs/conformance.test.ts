/** `docs/conformance.md` names every duty once, and every proof that it names exists. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const TEXT = readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8');

/** How many duties each list has; ids are a letter and a number. */
const LISTS = { C: 3, P: 38, D: 18, A: 5, T: 30, N: 10, V: 6, E: 13 };
const IDS = Object.entries(LISTS).flatMap(([letter, count]) =>
  Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
);

const STATES = ['done', 'untested', 'SIP server', "SRC's", 'not'];

interface Row {
  id: string;
  duty: string;
  state: string;
  proof: string;
}

const ROWS: Row[] = [...TEXT.matchAll(/^\| ([A-Z]\d+) \| (.*?) \| (.*?) \| (.*) \|$/gm)].map(
  ([, id = '', duty = '', state = '', proof = '']) => ({ id, duty, state, proof }),
);

/** `path`: "name of a test", "of another" */
const CITATION = /`([\w./-]+\.test\.ts)`: ("[^"]+"(?:, "[^"]+")*)/g;
const citationsOf = (text: string): { path: string; names: string[] }[] =>
  [...text.matchAll(CITATION)].map(([, path = '', quoted = '']) => ({
    path,
    names: quoted.slice(1, -1).split('", "'),
  }));
const CITED = Map.groupBy(citationsOf(TEXT), ({ path }) => path);

/** The names after `it(` and `it.each(...)(`, in whatever quotes. */
const testsOf = (source: string): string[] =>
  [...source.matchAll(/(?:\bit|\))\(\s*(['"`])(.*?)\1,/g)].map(([, , name = '']) => name);

describe('docs/conformance.md', () => {
  it('has every duty once, in order', () => {
    expect(ROWS.map(({ id }) => id)).toEqual(IDS);
  });

  it('says of each what it is, how it stands, and why', () => {
    const incomplete = ROWS.filter(
      ({ duty, state, proof }) => duty === '' || !STATES.includes(state) || proof === '',
    );
    expect(incomplete).toEqual([]);
  });

  it('proves what is done by a test', () => {
    const unproven = ROWS.filter(({ state, proof }) => state === 'done' && citationsOf(proof).length === 0);
    expect(unproven).toEqual([]);
  });

  it('has no test of what it calls untested', () => {
    const tested = ROWS.filter(({ state, proof }) => state === 'untested' && citationsOf(proof).length > 0);
    expect(tested).toEqual([]);
  });

  it('names no test file without the name of a test', () => {
    expect(citationsOf(TEXT)).toHaveLength(TEXT.split('.test.ts').length - 1);
  });

  it.each([...CITED])('cites tests that %s has', (path, citations) => {
    const tests = testsOf(readFileSync(join(ROOT, 'test', path), 'utf8'));
    expect(tests).toEqual(expect.arrayContaining(citations.flatMap(({ names }) => names)));
  });

  it('counts its rows right', () => {
    const counted = STATES.map((state) => [state, ROWS.filter((row) => row.state === state).length]);
    const told = STATES.map((state) => [
      state,
      Number(new RegExp(`^- \\*\\*${state}\\*\\* \\((\\d+)\\)`, 'm').exec(TEXT)?.[1]),
    ]);
    expect(told).toEqual(counted);
  });
});
