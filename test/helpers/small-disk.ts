/** A disk of a few MiB that can really run full: a tmpfs, mounted by the test where it may (root, as in CI). */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const KIB = 1024;

export interface SmallDisk {
  /** An empty directory on it. */
  directory: string;
  freeBytes(): number;
  /** Somebody else takes room until only so much is free; what he took before is given back first. */
  leaveFree(bytes: number): void;
  unmount(): void;
}

/** @throws Error where it may not be mounted */
export function mountSmallDisk(mebibytes: number): SmallDisk {
  const mountPoint = mkdtempSync(join(tmpdir(), 'siprec-ha-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'tmpfs', mountPoint], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (error) {
    rmdirSync(mountPoint);
    throw error;
  }
  const other = join(mountPoint, 'other-program');
  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(mountPoint);
    return bavail * bsize;
  };
  return {
    directory: mountPoint,
    freeBytes,
    leaveFree(bytes) {
      rmSync(other, { force: true });
      const taken = freeBytes() - bytes;
      if (taken > 0) writeFileSync(other, Buffer.alloc(Math.floor(taken / (4 * KIB)) * 4 * KIB));
    },
    unmount() {
      execFileSync('umount', [mountPoint]);
      rmdirSync(mountPoint);
    },
  };
}

/** Why no small disk can be had on this machine; undefined where it can. In CI it must. */
export function whyNoSmallDisk(): string | undefined {
  if (process.env.CI) return undefined;
  try {
    mountSmallDisk(1).unmount();
    return undefined;
  } catch (error) {
    return `no tmpfs can be mounted here (run the tests as root): ${(error as Error).message.split('\n')[0]}`;
  }
}
