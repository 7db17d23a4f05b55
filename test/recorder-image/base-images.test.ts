/** What the images are built from is what it was when it was chosen: each base is named by its digest. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const PINNED = /^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$/;

/** Bases that may move: of neither digest, nor an earlier stage, nor an argument that the stacks give. */
function movingBases(dockerfile: string): string[] {
  const stages = new Set<string>();
  return [...dockerfile.matchAll(/^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?\s*$/gim)].flatMap(
    ([, base = '', stage]) => {
      const isFixed = PINNED.test(base) || stages.has(base) || base === '${' + 'SIP_SERVER_IMAGE}';
      if (stage) stages.add(stage);
      return isFixed ? [] : [base];
    },
  );
}

const dockerfiles = (): string[] =>
  execFileSync('git', ['ls-files', '--', '*Dockerfile*'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

it('names each base by its digest, or takes it from the deployment file', () => {
  expect(dockerfiles()).toEqual(['recorder-image/Dockerfile', 'recorder-image/sip-server.Dockerfile']);
  for (const file of dockerfiles()) {
    expect(textOf(file)).toMatch(/^FROM /m);
    expect({ file, moving: movingBases(textOf(file)) }).toEqual({ file, moving: [] });
  }
});

it('would notice a base that may move', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  expect(movingBases('FROM node:24-bookworm-slim AS build\nFROM build')).toEqual(['node:24-bookworm-slim']);
  expect(movingBases(`FROM --platform=linux/arm64 node@${digest}`)).toEqual([`node@${digest}`]); // of which version?
  expect(movingBases(`FROM node:24.21.0@${digest} AS base\nFROM base AS build\nFROM other`)).toEqual([
    'other',
  ]);
  expect(movingBases('ARG BASE=node\nFROM ${' + 'BASE}')).toEqual(['${' + 'BASE}']);
});

it('runs the recorder on the Node that its tests run on', () => {
  const { devDependencies } = JSON.parse(textOf('package.json'));
  expect(textOf('recorder-image/Dockerfile')).toContain(`FROM node:${devDependencies.node}-`);
});
