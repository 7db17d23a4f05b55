import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodeProgram, startChild } from '../../../local/cloud/child.ts';
import { lockSpool, SpoolInUseError } from '../../../recorder-image/src/storage/spool-lock.ts';
import { useSpool } from './support.ts';

const HOLDER = join(import.meta.dirname, 'hold-lock.ts');

const used = useSpool();

it('a spool is had by one at a time', () => {
  const { directory } = used.spool;
  const lock = lockSpool(directory);
  expect(() => lockSpool(directory)).toThrow(SpoolInUseError);
  expect(() => lockSpool(directory)).toThrow(`spool ${directory} is in use by another process: stop `);
  lock.release();
  lockSpool(directory).release();
});

it('also among processes, until the one that has it is killed', async () => {
  const { directory } = used.spool;
  const holder = await startChild({
    name: 'the holder',
    command: nodeProgram(HOLDER, [directory]),
    env: process.env,
    logFile: join(directory, 'log'),
    ready: (line) => (line === 'locked' ? true : undefined),
    readyTimeoutMs: 20_000,
  });
  expect(() => lockSpool(directory)).toThrow(SpoolInUseError);
  process.kill(holder.pid, 'SIGKILL');
  await holder.exited;
  lockSpool(directory).release();
});

it('a lock that cannot be had says why', () => {
  const { directory } = used.spool;
  rmSync(directory, { recursive: true });
  expect(() => lockSpool(directory)).toThrow(`spool ${directory} cannot be locked: `);
});
