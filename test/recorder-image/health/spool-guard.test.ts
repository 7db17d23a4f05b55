import { spoolGuard } from '../../../recorder-image/src/health/spool-guard.ts';
import { LogLines } from '../../helpers/logs.ts';

const RESERVE = 100;

function setUp({ active = 3 } = {}) {
  const logs = new LogLines();
  const seen = { short: [] as boolean[], ended: 0 };
  const disk = { free: async () => 1000 };
  const look = spoolGuard({
    freeBytes: () => disk.free(),
    reserveBytes: RESERVE,
    economise: (short) => seen.short.push(short),
    activeRecordings: () => active,
    endAll: async () => {
      seen.ended++;
    },
    logger: logs.logger(),
  });
  return { logs, seen, disk, look };
}

it.each([
  [101, false, 0],
  [100, true, 0],
  [50, true, 0],
  [49, true, 1],
  [0, true, 1],
])('at %d of 100 free, room is short: %s; recordings are ended: %d', async (free, short, ended) => {
  const { seen, disk, look } = setUp();
  disk.free = async () => free;
  await look();
  expect(seen).toEqual({ short: [short], ended });
});

it('ends nothing where nothing runs', async () => {
  const { logs, seen, disk, look } = setUp({ active: 0 });
  disk.free = async () => 0;
  await look();
  expect(seen.ended).toBe(0);
  expect(logs.lines).toEqual([]);
});

it('does not look again before a look is over', async () => {
  const { seen, disk, look } = setUp();
  const slow = Promise.withResolvers<number>();
  disk.free = () => slow.promise;
  const looks = [look(), look()];
  slow.resolve(0);
  await Promise.all(looks);
  expect(seen.ended).toBe(1);
  await look();
  expect(seen.ended).toBe(2);
});

it('says once that it cannot look, and again when it could in between', async () => {
  const { logs, disk, look } = setUp();
  const gone = async () => {
    throw new Error('ENOENT: no spool');
  };
  const complaints = () =>
    logs.lines.filter(({ msg }) => msg === 'the disk of the spool cannot be looked at');
  disk.free = gone;
  await look();
  await look();
  expect(complaints()).toHaveLength(1);
  disk.free = async () => 1000;
  await look();
  disk.free = gone;
  await look();
  expect(complaints()).toHaveLength(2);
});
