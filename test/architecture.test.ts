/**
 * The house's own rules (DESIGN.md 5), read from the sources: who may import whom, what production may need, and what
 * no file may say. Each rule is a function from one file to its violations, so that it can be shown to fail.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { parseSync } from '@swc/core';

const ROOT = dirname(import.meta.dirname);
const HOUSES = ['core', 'infra', 'functions', 'recorder-image', 'local', 'test'];

interface Import {
  specifier: string;
  /** Stripped before it runs: no package is needed for it. */
  typeOnly: boolean;
}

interface SourceFile {
  /** From the root, with slashes. */
  path: string;
  imports: Import[];
}

type Rule = (file: SourceFile) => string[];

const COMPUTED = '(computed)';

/** The parts of a syntax tree that this test reads. */
interface Node {
  type?: string;
  value?: unknown;
  typeOnly?: boolean;
  source?: Node;
  argument?: Node;
  callee?: Node;
  arguments?: { expression: Node }[];
}

/** Every import of a TypeScript source: static, re-exported, dynamic, and of types. */
function importsOf(source: string): Import[] {
  const found: Import[] = [];
  const add = (from: Node | undefined, typeOnly: boolean) =>
    found.push({ specifier: from?.type === 'StringLiteral' ? String(from.value) : COMPUTED, typeOnly });
  const visit = (node: Node): void => {
    const { type, source: from, typeOnly = false } = node;
    if (type === 'ImportDeclaration' || type === 'ExportAllDeclaration') add(from, typeOnly);
    else if (type === 'ExportNamedDeclaration' && from) add(from, typeOnly);
    else if (type === 'TsImportType') add(node.argument, true);
    else if (type === 'CallExpression' && node.callee?.type === 'Import')
      add(node.arguments?.[0]?.expression, false);
    for (const child of Object.values(node)) if (typeof child === 'object' && child !== null) visit(child);
  };
  visit(parseSync(source, { syntax: 'typescript', target: 'es2024' }) as Node);
  return found;
}

const isRelative = (specifier: string): boolean => /^\.{1,2}\//.test(specifier);

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const houseOf = (path: string): string => path.split('/')[0] as string;

/** Root-relative paths of the sources of ours that a file imports. */
const ownFiles = ({ path, imports }: SourceFile): string[] =>
  imports
    .filter(({ specifier }) => isRelative(specifier))
    .map(({ specifier }) => posix.join(posix.dirname(path), specifier))
    .filter((target) => target !== 'package.json'); // every house may say its version

/** Packages without I/O that core may use; another one is a decision to be made here. */
const PURE_PACKAGES = ['ipaddr.js', 'node:crypto', 'yaml', 'zod'];

/** Which files of other houses a house may import. `test` may import all. */
const MAY_IMPORT: Record<string, (target: string) => boolean> = {
  core: () => false,
  functions: (target) => houseOf(target) === 'core',
  'recorder-image': (target) => houseOf(target) === 'core',
  // Names, and the table of operations, that a construct shares with the code that it deploys.
  infra: (target) =>
    houseOf(target) === 'core' || /^functions\/[\w-]+\/(constants|environment|operations)\.ts$/.test(target),
  local: (target) => houseOf(target) === 'core',
  test: () => true,
};

const importsRunOneWay: Rule = (file) => {
  const house = houseOf(file.path);
  return ownFiles(file)
    .filter((target) => houseOf(target) !== house && !MAY_IMPORT[house]?.(target))
    .map((target) => `${file.path} imports ${target}: ${house} must not know ${houseOf(target)}`);
};

const coreIsPure: Rule = ({ path, imports }) =>
  houseOf(path) !== 'core'
    ? []
    : imports
        .filter(({ specifier }) => !isRelative(specifier) && !PURE_PACKAGES.includes(packageOf(specifier)))
        .map(
          ({ specifier }) =>
            `${path} imports ${specifier}: core has no I/O, only ${PURE_PACKAGES.join(', ')}`,
        );

const relativeImportsHaveExtensions: Rule = ({ path, imports }) =>
  imports
    .filter(({ specifier }) => isRelative(specifier) && !/\.(ts|json)$/.test(specifier))
    .map(({ specifier }) => `${path} imports ${specifier}: write the .ts extension, Node adds none`);

const importsAreLiteral: Rule = ({ path, imports }) =>
  houseOf(path) !== 'test' && imports.some(({ specifier }) => specifier === COMPUTED)
    ? [`${path} imports by a computed name: no rule can see what`]
    : [];

/** What runs in production, where `npm ci --omit=dev` has installed. */
const PRODUCTION = /^(core|functions|recorder-image\/src)\//;

const productionNeedsNoDevDependency =
  ({ dependencies, devDependencies }: { dependencies: object; devDependencies: object }): Rule =>
  ({ path, imports }) =>
    imports
      .filter(({ specifier, typeOnly }) => !typeOnly && !isRelative(specifier) && specifier !== COMPUTED)
      .map(({ specifier }) => specifier)
      .filter((specifier) => !isBuiltin(specifier))
      .flatMap((specifier) => {
        const name = packageOf(specifier);
        if (name in dependencies) return [];
        if (!(name in devDependencies)) return [`${path} imports ${name}: it is not in package.json`];
        return PRODUCTION.test(path)
          ? [`${path} imports ${name}: a devDependency, which production does not have`]
          : [];
      });

/** What no tracked file may say, whatever its kind. */
const FORBIDDEN: [what: string, pattern: RegExp][] = [
  ['a path of a machine', /(?<![\w.-])\/(home|Users|root|work|var\/folders)\/[\w.-]+/],
  ['a path of a machine', /\b[A-Z]:\\Users\\/],
  [
    'an address of a package registry',
    /https?:\/\/[^\s/"'`]*(registry|artifactory|nexus|npmjs|pypi|pythonhosted)/,
  ],
  ['where a package was downloaded from', /"resolve[d]":/],
];

function saysNothingLocal(path: string, text: string, checkout: string): string[] {
  const found = FORBIDDEN.flatMap(([what, pattern]) => {
    const match = pattern.exec(text);
    return match ? [`${path} names ${what}: ${match[0]}`] : [];
  });
  const own = [checkout, `${homedir()}/`].filter((place) => place.length > 2 && text.includes(place));
  return [...found, ...own.map((place) => `${path} names a path of this machine: ${place}`)];
}

/** Tracked files and those that are about to be. */
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: ROOT,
})
  .toString()
  .split('\0')
  .filter((path) => path && existsSync(join(ROOT, path)));

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const sources: SourceFile[] = tracked
  .filter((path) => path.endsWith('.ts') && HOUSES.includes(houseOf(path)))
  .map((path) => ({ path, imports: importsOf(read(path)) }));

const manifest = JSON.parse(read('package.json'));

/** A made-up file, for showing that a rule can fail. */
const madeUp = (path: string, source: string): SourceFile => ({ path, imports: importsOf(source) });

describe('imports', () => {
  it('are found in every form', () => {
    expect(
      importsOf(`
        import a from './a.ts';
        import type { B } from './b.ts';
        import './c.ts';
        export * from './d.ts';
        export { e } from './e.ts';
        export type { F } from './f.ts';
        type G = import('./g.ts').G;
        export const h = async () => [await import('./h.ts'), await import(\`./\${a}.ts\`)];
        export const i = 1;
      `).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' (type)' : ''}`),
    ).toEqual([
      './a.ts',
      './b.ts (type)',
      './c.ts',
      './d.ts',
      './e.ts',
      './f.ts (type)',
      './g.ts (type)',
      './h.ts',
      COMPUTED,
    ]);
    expect(sources.length).toBeGreaterThan(100);
    expect([...new Set(sources.map(({ path }) => houseOf(path)))].sort()).toEqual([...HOUSES].sort());
  });

  it.each<[string, Rule, SourceFile, string]>([
    [
      'run one way: core knows nobody',
      importsRunOneWay,
      madeUp('core/keys.ts', "import { b } from '../infra/b.ts';"),
      'core/keys.ts imports infra/b.ts: core must not know infra',
    ],
    [
      'run one way: functions know core',
      importsRunOneWay,
      madeUp(
        'functions/x/handler.ts',
        "import '../../core/keys.ts'; import '../y/b.ts'; import '../../local/z.ts';",
      ),
      'functions/x/handler.ts imports local/z.ts: functions must not know local',
    ],
    [
      'run one way: a recorder knows core, also by type and dynamically',
      importsRunOneWay,
      madeUp(
        'recorder-image/src/main.ts',
        "import '../../core/keys.ts'; await import('../../functions/x/y.ts');",
      ),
      'recorder-image/src/main.ts imports functions/x/y.ts: recorder-image must not know functions',
    ],
    [
      'run one way: infra knows names of functions, and nothing else of them',
      importsRunOneWay,
      madeUp(
        'infra/app.ts',
        "import '../functions/x/constants.ts'; import '../functions/shared/environment.ts'; import type { H } from '../functions/x/handler.ts';",
      ),
      'infra/app.ts imports functions/x/handler.ts: infra must not know functions',
    ],
    [
      'run one way: local starts the others and does not import them',
      importsRunOneWay,
      madeUp('local/cli.ts', "import './a.ts'; import '../core/b.ts'; import '../recorder-image/src/c.ts';"),
      'local/cli.ts imports recorder-image/src/c.ts: local must not know recorder-image',
    ],
    [
      'of core have no I/O: Node',
      coreIsPure,
      madeUp('core/keys.ts', "import { z } from 'zod'; import { readFileSync } from 'node:fs';"),
      'core/keys.ts imports node:fs: core has no I/O, only ipaddr.js, node:crypto, yaml, zod',
    ],
    [
      'of core have no I/O: packages',
      coreIsPure,
      madeUp('core/keys.ts', "import type { S3Client } from '@aws-sdk/client-s3';"),
      'core/keys.ts imports @aws-sdk/client-s3: core has no I/O, only ipaddr.js, node:crypto, yaml, zod',
    ],
    [
      'have the extension of the file',
      relativeImportsHaveExtensions,
      madeUp('test/a.test.ts', "import '../core/keys'; import './b.ts';"),
      'test/a.test.ts imports ../core/keys: write the .ts extension, Node adds none',
    ],
    [
      'say what they import',
      importsAreLiteral,
      madeUp('local/a.ts', 'export const load = (name: string) => import(name);'),
      'local/a.ts imports by a computed name: no rule can see what',
    ],
    [
      'of production are there without devDependencies',
      productionNeedsNoDevDependency({ dependencies: { zod: '' }, devDependencies: { jest: '' } }),
      madeUp(
        'functions/x/a.ts',
        "import 'zod'; import 'node:fs'; import type { A } from 'jest'; import 'jest/b';",
      ),
      'functions/x/a.ts imports jest: a devDependency, which production does not have',
    ],
    [
      'are all declared',
      productionNeedsNoDevDependency({ dependencies: { zod: '' }, devDependencies: { jest: '' } }),
      madeUp('infra/a.ts', "import 'jest'; import '@smithy/other/deep';"),
      'infra/a.ts imports @smithy/other: it is not in package.json',
    ],
  ])('%s', (_, rule, violating, message) => {
    expect(rule(violating)).toEqual([message]);
  });

  it.each<[string, Rule]>([
    ['run one way', importsRunOneWay],
    ['of core have no I/O', coreIsPure],
    ['have the extension of the file', relativeImportsHaveExtensions],
    ['say what they import', importsAreLiteral],
    ['need no devDependency in production', productionNeedsNoDevDependency(manifest)],
  ])('keep the rule in every source: %s', (_, rule) => {
    expect(sources.flatMap(rule)).toEqual([]);
  });
});

describe('tracked files', () => {
  it.each([
    ['a path of a machine', `log: ${['', 'home', 'someone', 'siprec'].join('/')}`],
    ['a path of a machine', ['C:', 'Users', 'someone'].join('\\')],
    ['an address of a package registry', `index-url = https:${'//'}registry.example.com/npm`],
    ['where a package was downloaded from', `"${'resolved'}": "..."`],
    ['a path of this machine', 'see /checkout/of/mine/file.ts'],
  ])('must not name %s: %s', (what, text) => {
    expect(saysNothingLocal('docs/a.md', text, '/checkout/of/mine')).toEqual([
      expect.stringContaining(`docs/a.md names ${what}: `),
    ]);
    expect(saysNothingLocal('docs/a.md', 'see rec/us-east-1 and /healthz', '/checkout/of/mine')).toEqual([]);
  });

  it('name no paths of a machine and no registries', () => {
    expect(tracked.flatMap((path) => saysNothingLocal(path, read(path), ROOT))).toEqual([]);
  });
});
