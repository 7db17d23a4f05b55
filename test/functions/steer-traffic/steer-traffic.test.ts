import type { ResourceRecordSet } from '@aws-sdk/client-route-53';
import { FLEET_KEY, STEERING_ITEM_ID } from '../../../core/fleet.ts';
import { EMULATOR_START_TIMEOUT_MS } from '../../helpers/emulator.ts';
import {
  CAPACITY,
  FOREIGN,
  NAMES,
  SteeringStage,
  seconds,
  T0,
  TCP,
  THROTTLING,
  UDP,
  wanted,
  ZONE,
} from './stage.ts';

let stage: SteeringStage;
beforeAll(async () => {
  stage = await SteeringStage.open();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => stage?.close());
beforeEach(() => stage.reset());

const FULL = {
  'use1-1 _udp': CAPACITY,
  'use1-1 _tcp': CAPACITY,
  'use1-2 _udp': CAPACITY,
  'use1-2 _tcp': CAPACITY,
  [`${FOREIGN} _udp`]: CAPACITY,
  [`${FOREIGN} _tcp`]: CAPACITY,
};

const CHANGE = /^POST .*\/rrset$/;
const LOOKUPS_OF_CHANGES = /^GET .*\/change\//;
const changesSent = () => stage.proxy.seen.filter((request) => CHANGE.test(request));

/** Both slots report at `atMs`. */
async function reports(first: number, second: number, atMs: number): Promise<void> {
  await stage.report('use1-1', first, atMs);
  await stage.report('use1-2', second, atMs);
}

/** `priority port target` and all but the value. */
const withoutWeight = (recordSets: ResourceRecordSet[]) =>
  recordSets.map(({ ResourceRecords, ...rest }) => ({
    ...rest,
    values: ResourceRecords?.map(({ Value = '' }) =>
      rest.Type === 'SRV' ? Value.split(' ').toSpliced(1, 1) : Value,
    ),
  }));

describe('a run', () => {
  it('gives every record of a slot the weight of its free capacity, all in one batch', async () => {
    await reports(600, 900, T0);
    const run = await stage.run(seconds(5));
    expect(await stage.weights()).toEqual({
      ...FULL,
      'use1-1 _udp': wanted(600),
      'use1-1 _tcp': wanted(600),
      'use1-2 _udp': wanted(900),
      'use1-2 _tcp': wanted(900),
    });
    expect(changesSent()).toHaveLength(1);
    expect(run).toMatchObject({ oldestReportSeconds: 5, withoutFreshReport: [], missing: [] });
    expect(run.skipped).toBeUndefined();
    expect(run.changes).toHaveLength(4);
    expect(Object.fromEntries(run.weights)).toEqual({ 'use1-1': wanted(600), 'use1-2': wanted(900) });
    const at = new Date(seconds(5)).toISOString();
    expect(await stage.steering()).toEqual({
      [FLEET_KEY]: STEERING_ITEM_ID,
      changedAt: { 'use1-1': at, 'use1-2': at },
      weights: { 'use1-1': wanted(600), 'use1-2': wanted(900) },
      changeId: expect.stringMatching(/^[A-Z0-9]+$/),
    });
  });

  it('touches nothing but weights of its own slots', async () => {
    const before = await stage.recordSets();
    await reports(600, 900, T0);
    await stage.report(FOREIGN, 700, T0);
    await stage.run(T0);
    const after = await stage.recordSets();
    expect(after).not.toEqual(before);
    expect(withoutWeight(after)).toEqual(withoutWeight(before));
    const others = ({ SetIdentifier }: ResourceRecordSet) => SetIdentifier === FOREIGN || !SetIdentifier;
    expect(after.filter(others)).toEqual(before.filter(others));
  });

  it('keeps priority, port, target, TTL and health check as they stand, whatever the plan says', async () => {
    const changed = (await stage.recordSets()).find(
      ({ Name, SetIdentifier }) => Name === `${UDP}.` && SetIdentifier === 'use1-1',
    ) as ResourceRecordSet;
    const other = {
      ...changed,
      TTL: 7,
      ResourceRecords: [{ Value: `42  ${CAPACITY}  6060  elsewhere.example.com.` }],
    };
    await stage.change('UPSERT', other);
    await stage.report('use1-1', 750, T0);
    await stage.run(T0);
    expect(await stage.recordSets()).toContainEqual({
      ...other,
      ResourceRecords: [{ Value: `42  ${wanted(750)}  6060  elsewhere.example.com.` }],
    });
  });

  it('changes nothing more when it runs again on the same facts', async () => {
    await reports(600, 900, T0);
    await stage.run(T0);
    await stage.run(T0);
    const after = [await stage.recordSets(), await stage.steering()];
    await reports(600, 900, seconds(120));
    for (const at of [121, 122, 123]) {
      const run = await stage.run(seconds(at));
      expect(run).toMatchObject({ changes: [] });
      expect(run.skipped).toBeUndefined();
    }
    expect([await stage.recordSets(), await stage.steering()]).toEqual(after);
    expect(changesSent()).toHaveLength(1);
  });

  it('comes to the same when several run at once', async () => {
    await reports(600, 900, T0);
    const runs = await Promise.all(Array.from({ length: 5 }, () => stage.run(T0)));
    expect(runs.map(({ skipped }) => skipped)).toEqual(Array(5).fill(undefined));
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(600), 'use1-2 _tcp': wanted(900) });
    expect((await stage.recordSets()).length).toBe(6 + 1 + 2); // SRV, A, SOA and NS: none more, none less
  });

  it('waits with small changes, and after a change', async () => {
    await reports(10, 600, T0);
    await stage.run(T0);
    // One call in a hundred is not worth a write; more than half of them are.
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': CAPACITY, 'use1-2 _udp': wanted(600) });
    await stage.run(seconds(1)); // the emulator's change is PENDING at first sight
    await reports(500, 100, seconds(30));
    const early = await stage.run(seconds(31));
    expect(early.changes.map(({ slot }) => slot)).toEqual(['use1-1', 'use1-1']);
    await stage.run(seconds(32));
    await reports(100, 100, seconds(60));
    await stage.run(seconds(61));
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(500), 'use1-2 _udp': wanted(100) });
  });

  it('lets the weight of a silent slot decay, not below 1, and brings it back with its next report', async () => {
    await reports(500, 500, T0);
    await stage.run(T0);
    await stage.run(seconds(1));
    const seen: number[] = [];
    for (let minute = 1; minute <= 14; minute += 1) {
      await stage.report('use1-2', 500, seconds(minute * 61));
      const run = await stage.run(seconds(minute * 61));
      if (run.skipped) continue; // PENDING
      expect(run.withoutFreshReport).toEqual(['use1-1']);
      expect(run.oldestReportSeconds).toBe(minute * 61);
      seen.push((await stage.weights())['use1-1 _udp'] as number);
    }
    expect(seen[0]).toBeLessThan(wanted(500));
    expect(seen).toEqual(seen.toSorted((a, b) => b - a));
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(1);
    expect((await stage.weights())['use1-2 _udp']).toBe(wanted(500));

    await reports(200, 500, seconds(20 * 60));
    const back = await stage.run(seconds(20 * 60));
    expect(back.skipped).toBeUndefined();
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(200), 'use1-1 _tcp': wanted(200) });
  });
});

describe('while the last change is PENDING', () => {
  it('nothing is changed; afterwards it is', async () => {
    await reports(600, 600, T0);
    await stage.run(T0);
    await reports(100, 100, seconds(70));
    // The emulator says PENDING once, then INSYNC.
    expect(await stage.run(seconds(70))).toMatchObject({ skipped: 'pending', changes: [] });
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(600) });
    expect((await stage.run(seconds(71))).skipped).toBeUndefined();
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(100), 'use1-2 _tcp': wanted(100) });
  });

  it('it is not waited for longer than five minutes', async () => {
    await reports(600, 600, T0);
    await stage.run(T0);
    stage.proxy.seen.length = 0;
    await reports(100, 100, seconds(301));
    expect((await stage.run(seconds(301))).skipped).toBeUndefined();
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(100) });
    expect(stage.proxy.seen.filter((request) => LOOKUPS_OF_CHANGES.test(request))).toEqual([]);
  });

  it('a change that Route 53 does not know any more is done', async () => {
    await reports(600, 600, seconds(70));
    const changedAt = { 'use1-1': new Date(T0).toISOString() };
    await stage.put({ [FLEET_KEY]: STEERING_ITEM_ID, changedAt, changeId: 'C000UNKNOWN' });
    expect((await stage.run(seconds(70))).skipped).toBeUndefined();
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(600) });
  });
});

describe('when Route 53 does not do as asked', () => {
  it.each([
    ['Throttling', 'throttled', 3],
    ['PriorRequestNotComplete', 'throttled', 3],
    ['AccessDenied', 'refused', 1],
  ])('%s of a change ends the run as %s, and the next run goes on', async (code, skipped, tries) => {
    await reports(600, 900, T0);
    stage.proxy.fault = (request) => (CHANGE.test(request) ? { status: 400, code } : undefined);
    expect(await stage.run(T0)).toMatchObject({ skipped, changes: [] });
    expect(changesSent()).toHaveLength(tries);
    expect(await stage.weights()).toEqual(FULL);
    expect(await stage.steering()).toBeUndefined();
    const level = skipped === 'refused' ? 'ERROR' : 'WARN';
    expect(stage.logged(level)).toContainEqual(
      expect.objectContaining({ skipped, error: expect.anything() }),
    );

    stage.proxy.fault = () => undefined;
    await stage.run(seconds(20));
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(600), 'use1-2 _udp': wanted(900) });
  });

  it('a short throttling is got over within the run', async () => {
    await reports(600, 900, T0);
    let left = 2;
    stage.proxy.fault = (request) => (CHANGE.test(request) && left-- > 0 ? THROTTLING : undefined);
    expect((await stage.run(T0)).skipped).toBeUndefined();
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(600), 'use1-2 _udp': wanted(900) });
  });

  it.each([
    ['reading the zone', /^GET .*\/rrset/],
    ['looking for the zone', /^GET .*\/hostedzonesbyname/],
    ['asking for the last change', LOOKUPS_OF_CHANGES],
  ])('%s: the run is skipped and weights stay', async (_, pattern) => {
    await reports(600, 900, T0);
    await stage.run(T0);
    const before = await stage.recordSets();
    await reports(100, 100, seconds(70));
    stage.proxy.fault = (request) =>
      pattern.test(request) ? { status: 503, code: 'ServiceUnavailable' } : undefined;
    await stage.run(seconds(70)); // this one may find the change PENDING
    expect(await stage.run(seconds(71))).toMatchObject({
      skipped: 'unavailable',
      changes: [],
      oldestReportSeconds: 1,
    });
    expect(await stage.recordSets()).toEqual(before);
  });

  it('one that never answers is given up on', async () => {
    await reports(600, 900, T0);
    stage.proxy.fault = (request) => (CHANGE.test(request) ? 'hang' : undefined);
    expect(await stage.run(T0, {}, 200)).toMatchObject({ skipped: 'unavailable', changes: [] });
    expect(changesSent()).toHaveLength(3);
    expect(await stage.weights()).toEqual(FULL);
  });

  it('one that is not there at all is no error of the run', async () => {
    await stage.proxy.close();
    try {
      await reports(600, 900, T0);
      expect(await stage.run(T0)).toMatchObject({ skipped: 'unavailable', withoutFreshReport: [] });
    } finally {
      await stage.reopenProxy();
    }
  });

  it('a table that is gone skips the run, before anything is written', async () => {
    expect(await stage.run(T0, { tableName: 'no-table' })).toEqual({
      skipped: 'refused',
      changes: [],
      weights: new Map(),
    });
    expect(stage.proxy.seen).toEqual([]);
  });

  it('a zone that is not there is told with its remedy', async () => {
    await reports(600, 900, T0);
    expect(await stage.run(T0, { zone: 'other.example.com' })).toMatchObject({ skipped: 'refused' });
    expect(JSON.stringify(stage.logged('ERROR'))).toContain(
      'there is no public hosted zone other.example.com: deploy the dns stack',
    );
  });
});

describe('what a slot or a person leaves', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a number that is none', { activeRecordings: 'many' }, /activeRecordings/],
    ['an unknown state', { state: 'happy' }, /state/],
    ['the name of another slot', { slot: 'use1-2' }, /of the slot use1-2/],
    ['a time to come', { reportedAt: '2026-11-25T13:00:00.000Z' }, /is to come/],
  ])('a report with %s counts as none, and is logged', async (_, over, why) => {
    await stage.report('use1-1', 0, T0, over);
    await stage.report('use1-2', 700, T0);
    const run = await stage.run(T0);
    expect(run.withoutFreshReport).toEqual(['use1-1']);
    expect(await stage.weights()).toMatchObject({ 'use1-2 _udp': wanted(700), 'use1-2 _tcp': wanted(700) });
    expect(stage.logged('WARN')).toContainEqual(
      expect.objectContaining({ slot: 'use1-1', why: expect.stringMatching(why) }),
    );
  });

  it('a steering item that is unreadable counts as none, and is replaced', async () => {
    await reports(600, 900, T0);
    await stage.put({ [FLEET_KEY]: STEERING_ITEM_ID, changedAt: 'yesterday', changeId: 5 });
    expect((await stage.run(T0)).skipped).toBeUndefined();
    expect(await stage.steering()).toMatchObject({ changedAt: { 'use1-1': new Date(T0).toISOString() } });
  });

  it('a record that the zone does not hold is told, and not made', async () => {
    const gone = (await stage.recordSets()).filter(
      ({ Name, SetIdentifier }) => Name === `${TCP}.` && SetIdentifier === 'use1-1',
    );
    await stage.change('DELETE', ...gone);
    await reports(600, 900, T0);
    const run = await stage.run(T0);
    expect(run.missing).toEqual([{ name: TCP, slot: 'use1-1' }]);
    expect(stage.logged('ERROR')).toContainEqual(expect.objectContaining({ name: TCP, slot: 'use1-1' }));
    const weights = await stage.weights();
    expect(weights).toMatchObject({ 'use1-1 _udp': wanted(600), 'use1-2 _tcp': wanted(900) });
    expect(Object.keys(weights)).not.toContain('use1-1 _tcp');
  });

  it('a record of another kind under the same name is left alone', async () => {
    const own = (await stage.recordSets()).filter(({ Name }) => Name === `${TCP}.`);
    const simple = {
      Name: `${TCP}.`,
      Type: 'SRV' as const,
      TTL: 60,
      ResourceRecords: [{ Value: `1 2 3 a.${ZONE}` }, { Value: `1 2 3 b.${ZONE}` }],
    };
    await stage.change('DELETE', ...own);
    await stage.change('UPSERT', simple);
    await reports(600, 900, T0);
    expect((await stage.run(T0)).missing).toHaveLength(2);
    expect(await stage.recordSets()).toContainEqual(simple);
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(600) });
    await stage.change('DELETE', simple);
  });

  /** Other records of the zone while `work` runs. */
  async function among(labels: string[], work: () => Promise<void>): Promise<void> {
    const others = labels.map((label) => ({
      Name: `${label}.${ZONE}`,
      Type: 'A' as const,
      TTL: 300,
      ResourceRecords: [{ Value: '192.0.2.2' }],
    }));
    await stage.change('UPSERT', ...others);
    try {
      await work();
    } finally {
      await stage.change('DELETE', ...others);
    }
  }
  const labels = (count: number, label: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => label(i));

  it('its records are found in a zone of many pages', () =>
    among(
      labels(700, (index) => `${index % 2 ? 'a' : 'z'}${index}`),
      async () => {
        await reports(600, 900, T0);
        expect(await stage.run(T0, { hostedZoneId: stage.hostedZoneId })).toMatchObject({ missing: [] });
        expect(await stage.weights()).toMatchObject({
          'use1-1 _udp': wanted(600),
          'use1-2 _tcp': wanted(900),
        });
      },
    ));

  it('its records are found where a page ends amid those of a name', () =>
    // Of a page that begins with the three records of TCP, the last one is the first of the three of UDP.
    among(
      labels(296, (index) => `_tcp${index}.siprec`),
      async () => {
        await reports(600, 900, T0);
        const names = { [TCP]: NAMES[TCP] ?? [], [UDP]: NAMES[UDP] ?? [] };
        expect(await stage.run(T0, { names })).toMatchObject({ missing: [] });
        expect(await stage.weights()).toMatchObject({
          'use1-2 _udp': wanted(900),
          'use1-2 _tcp': wanted(900),
        });
      },
    ));
});
