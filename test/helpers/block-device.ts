/** A disk: a loop device over a sparse file, made by the test where it may (root, as in CI). */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 1024 * 1024;

export interface BlockDevice {
  /** `/dev/loop3` */
  path: string;
  /** What is behind it. */
  file: string;
  /** Unmounted first, wherever it is mounted. */
  remove(): void;
}

/**
 * @param fill writes what is on the disk into its file
 * @throws Error where it may not be made
 */
export function makeBlockDevice(mebibytes: number, fill: (file: string) => void = () => {}): BlockDevice {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-device-'));
  const file = join(directory, 'disk');
  try {
    const descriptor = openSync(file, 'w');
    ftruncateSync(descriptor, mebibytes * MIB);
    closeSync(descriptor);
    fill(file);
    const path = run('losetup', '--find', '--show', file).trim();
    return {
      path,
      file,
      remove() {
        while (isMounted(path)) run('umount', path);
        run('losetup', '--detach', path);
        rmSync(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

const isMounted = (path: string): boolean =>
  run('findmnt', '--noheadings', '--list', '--output', 'SOURCE').split('\n').includes(path);

export const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Why no disk can be had on this machine; undefined where it can. In CI it must. */
export function whyNoBlockDevice(): string | undefined {
  if (process.env.CI) return undefined;
  try {
    makeBlockDevice(1).remove();
    return undefined;
  } catch (error) {
    return `no loop device can be made here (run the tests as root): ${(error as Error).message.split('\n')[0]}`;
  }
}
