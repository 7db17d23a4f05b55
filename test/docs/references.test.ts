/** What the documents name exists: files, headings, npm scripts, stacks; and each document is in the index of documents. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const DOCUMENTS = ['README.md', ...globSync('docs/*.md', { cwd: ROOT }).toSorted()];
const SCRIPTS = Object.keys(JSON.parse(read('package.json')).scripts);
const STACKS = [...read('infra/stages/region-stage.ts').matchAll(/Stack\(this, '(\w+)'/g)].map(
  ([, id]) => id,
);

const HOUSES = ['core', 'deployments', 'docs', 'functions', 'infra', 'local', 'recorder-image', 'test'];
const PATH = new RegExp(`^(${HOUSES.join('|')})/[\\w./{},*-]+$`);

/** All that a pattern finds in its first group. */
const found = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, group = '']) => group);

/** Targets of `[text](target)` that are in this repository. */
const linksOf = (text: string): string[] =>
  found(text, /\]\(([^)\s]+)\)/g).filter((target) => !target.startsWith('https://'));

const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, '');

/** The anchors that GitHub gives to the headings of a document. */
const anchorsOf = (text: string): string[] =>
  found(withoutCode(text), /^#+ (.*)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

/** Why a link of a document leads nowhere; nothing if it leads somewhere. */
function whyBroken(document: string, link: string): string[] {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? document : join(dirname(document), path);
  if (!existsSync(join(ROOT, target))) return [`${link}: there is no ${target}`];
  if (anchor !== undefined && !anchorsOf(read(target)).includes(anchor))
    return [`${link}: ${target} has no such heading`];
  return [];
}

/** `core/{a,b}.ts` is two paths. */
function expand(path: string): string[] {
  const [braces, inside] = /\{([^}]*)\}/.exec(path) ?? [];
  if (braces === undefined || inside === undefined) return [path];
  return inside.split(',').flatMap((part) => expand(path.replace(braces, part)));
}

const isThere = (path: string): boolean =>
  expand(path).every((each) => globSync(each, { cwd: ROOT }).length > 0);

describe.each(DOCUMENTS)('%s', (document) => {
  const text = read(document);

  it('links to files and headings that there are', () => {
    expect(linksOf(text).flatMap((link) => whyBroken(document, link))).toEqual([]);
  });

  it('names npm scripts that there are', () => {
    const named = found(text, /npm run (?:-s )?([a-z][\w:-]*)/g);
    expect(named.filter((script) => !SCRIPTS.includes(script))).toEqual([]);
  });

  it('names files that there are', () => {
    // Tests are cited by their place below `test/`, and looked up by conformance.test.ts.
    const named = found(text, /`([^`\n]+)`/g).filter((code) => PATH.test(code) && !code.endsWith('.test.ts'));
    expect(named.filter((path) => !isThere(path))).toEqual([]);
  });

  it('names stacks that there are', () => {
    const named = found(text, /\b[a-z]{2}-[a-z]+-\d\/([a-z]+)\b(?!\/)/g);
    expect(named.filter((stack) => !STACKS.includes(stack))).toEqual([]);
  });
});

describe('docs/README.md', () => {
  it('leads to every document', () => {
    const linked = linksOf(read('docs/README.md')).map((link) => join('docs', link.split('#')[0] ?? ''));
    expect(
      DOCUMENTS.filter((document) => document !== 'docs/README.md' && !linked.includes(document)),
    ).toEqual([]);
  });
});

describe('docs/deploy.md', () => {
  it('tells of every stack', () => {
    const told = found(read('docs/deploy.md'), /^\| `(\w+)` \|/gm);
    expect(STACKS.filter((stack) => !told.includes(stack as string))).toEqual([]);
  });
});
