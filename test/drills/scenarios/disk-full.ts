import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../helpers/until.ts';
import type { Drill } from '../drill.ts';
import type { DrillCall, Stage } from '../stage.ts';
import { settled } from './settled.ts';

const MIB = 1024 * 1024;
const DISK_MIB = 256;
const RESERVE_MIB = 64;
/** Of a two-stream call in a second: 100 packets of 172 bytes, with their record headers. */
const CALL_BYTES_PER_SECOND = 100 * (172 + 8);
/** Seconds until the calls have filled what is left to them. */
const SECONDS_LEFT = 2;

export const diskFull: Drill = {
  name: 'disk-full',
  what: "the spool's disk is filled by the calls themselves, and then at one blow from outside",
  mounts: true,
  variables: () => ({ SIPREC_SPOOL_RESERVE_MB: String(RESERVE_MIB) }),
  async play(stage, { calls, talkMs, log }) {
    mountDisk(stage);
    const filler = join(stage.spool, 'filler');
    const spool = join(stage.spool, 'spool');
    mkdirSync(spool, { mode: 0o700 });
    const failures: string[] = [];
    const recorder = await stage.startRecorder({ spool });
    const isHealthy = async () => (await recorder.health('/healthz')).status === 200;
    const expectRefusal = async () => {
      await until(async () => !(await isHealthy()));
      const status = await stage.offerCall();
      if (status !== 503)
        failures.push(`with a full disk a new call is answered with ${status}, and not 503`);
    };
    const half = Math.ceil(calls / 2);

    log(`${half} calls, and a disk that they fill`);
    const filling = await stage.placeCalls(half);
    await stage.pause(talkMs);
    const left = (RESERVE_MIB / 2) * MIB + half * CALL_BYTES_PER_SECOND * SECONDS_LEFT;
    fill(filler, freeBytes(stage.spool) - left);
    await expectRefusal();
    await allEnded(filling);
    const first = await settled(stage, { count: filling.length, spools: [spool] });
    rmSync(filler);
    await until(isHealthy);

    log('as many calls, and a disk that is full at one blow');
    const struck = await stage.placeCalls(half);
    await stage.pause(talkMs);
    const fullAtMs = Date.now();
    fill(filler, Number.POSITIVE_INFINITY);
    await expectRefusal();
    await allEnded(struck);
    log('there is room again');
    rmSync(filler);
    const second = await settled(stage, { count: filling.length + struck.length, spools: [spool] });
    await until(isHealthy);
    const after = await stage.placeCalls(1);
    await stage.pause(1_000);
    await stage.hangUp(after);
    const last = await settled(stage, { count: filling.length + struck.length + 1, spools: [spool] });

    const struckStreams = new Set(struck.flatMap(({ streams }) => streams));
    const endedAt = new Map(
      [...filling, ...struck].flatMap(({ streams, endedByRecorderAtMs }) =>
        streams.map((stream) => [stream, endedByRecorderAtMs] as const),
      ),
    );
    return {
      expected: [
        // The SRC sends until the BYE has come to it.
        { calls: filling, statuses: ['partial'], endings: ['disk-full'], maxMissingMs: 1_000 },
        {
          calls: struck,
          statuses: ['partial'],
          endings: ['disk-full'],
          maxMissingMs: 1_000,
          causes: ['crash'], // there is one word for a journal that is cut off
        },
        { calls: after, statuses: ['complete'], endings: ['bye'] },
      ],
      excused: (stream, _packet, sentAtMs) =>
        sentAtMs >= (endedAt.get(stream) ?? Number.POSITIVE_INFINITY) ||
        (struckStreams.has(stream) && sentAtMs >= fullAtMs),
      recoverySeconds: second.recoverySeconds,
      failures: [...failures, ...first.failures, ...second.failures, ...last.failures],
    };
  },
};

/** @throws Error with the remedy */
function mountDisk({ spool, onDispose }: Stage): void {
  mkdirSync(spool);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', spool], { stdio: 'pipe' });
  } catch (cause) {
    throw new Error(
      `no file system can be mounted at ${spool}: ${(cause as Error).message.trim()}\n` +
        'Run the drill where user namespaces are allowed: unshare --map-root-user --mount true',
      { cause },
    );
  }
  onDispose(() => execFileSync('umount', ['--lazy', spool]));
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Writes so much, or until nothing more fits. */
function fill(path: string, bytes: number): void {
  const file = openSync(path, 'w');
  try {
    for (let left = bytes, chunk = MIB; left > 0 && chunk >= 4096; ) {
      try {
        left -= writeSync(file, Buffer.alloc(Math.min(chunk, left)));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        chunk /= 2;
      }
    }
  } finally {
    closeSync(file);
  }
}

/** The recorder has said BYE in all of them, and the SRC has stopped. */
async function allEnded(calls: readonly DrillCall[]): Promise<void> {
  await Promise.all(calls.map(({ call }) => call.endedByRecorder.promise));
  await until(() => calls.every(({ sentAtMs }) => sentAtMs.length > 0));
}
