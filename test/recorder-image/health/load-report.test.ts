import type { LoadReport } from '../../../core/fleet.ts';
import {
  type Load,
  LoadReports,
  type LoadReportsOptions,
} from '../../../recorder-image/src/health/load-report.ts';
import { LogLines } from '../../helpers/logs.ts';

const NOW = new Date('2026-01-01T12:00:00.500Z');
const LOAD: Load = {
  slot: 'use1-1',
  region: 'us-east-1',
  state: 'serving',
  reasons: [],
  activeRecordings: 3,
  callCapacity: 10,
  cpuShare: 0.25,
  loopDelayMs: 1.5,
  rtpDrops: 0,
  spoolFill: 0.5,
  version: '1.2.3',
};
const FAILING = 'load reports cannot be written; steering goes by the last one meanwhile';
const WORKING = 'load reports are written again';

/** A table whose answers a test gives by hand; the real one is in `lifecycle/load-reports.test.ts`. */
class HeldTable {
  readonly reports: LoadReport[] = [];
  readonly #answers: PromiseWithResolvers<void>[] = [];
  readonly #waiting: (() => void)[] = [];

  readonly write = (report: LoadReport): Promise<void> => {
    this.reports.push(report);
    const answer = Promise.withResolvers<void>();
    this.#answers.push(answer);
    for (const look of this.#waiting.splice(0)) look();
    return answer.promise;
  };

  /** The report of this number, counted from 0, as soon as it is being written. */
  async report(index: number): Promise<LoadReport> {
    while (this.reports.length <= index)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    return this.reports[index] as LoadReport;
  }

  take(index: number): void {
    this.#answers[index]?.resolve();
  }

  refuse(index: number): void {
    this.#answers[index]?.reject(new Error('throttled'));
  }
}

let table: HeldTable;
let logs: LogLines;
let load: Load;
let reports: LoadReports;
const begin = (options: Partial<LoadReportsOptions> = {}): void => {
  reports = new LoadReports({
    write: table.write,
    load: async () => load,
    logger: logs.logger(),
    now: () => NOW,
    intervalMs: 3_600_000,
    limitMs: 60_000,
    ...options,
  });
};
beforeEach(() => {
  table = new HeldTable();
  logs = new LogLines();
  load = LOAD;
});

/** The last report of a test is taken. */
async function end(): Promise<LoadReport> {
  const index = table.reports.length;
  const stopped = reports.stop();
  const last = await table.report(index);
  table.take(index);
  await stopped;
  return last;
}

describe('load reports', () => {
  it('begin with one, with the time and the end of its life', async () => {
    begin();
    expect(await table.report(0)).toEqual({
      ...LOAD,
      stateChanged: true,
      reportedAt: '2026-01-01T12:00:00.500Z',
      expiresAt: NOW.getTime() / 1000 - 0.5 + 86_400,
    });
    table.take(0);
    await end();
    expect(reports.counters).toEqual({ written: 2, failed: 0 });
  });

  it('are repeated', async () => {
    begin({ intervalMs: 5 });
    table.take((await table.report(0)) && 0);
    expect(await table.report(1)).toMatchObject({ state: 'serving', stateChanged: false });
    table.take(1);
    expect(await table.report(2)).toMatchObject({ stateChanged: false });
    table.take(2);
    await end();
  });

  it('are written one at a time; what changes meanwhile is told once, and newest', async () => {
    begin({ intervalMs: 5 });
    await table.report(0);
    for (const activeRecordings of [4, 5, 6]) {
      load = { ...LOAD, activeRecordings };
      reports.changed();
    }
    await new Promise((resolve) => setTimeout(resolve, 50)); // ten intervals
    expect(table.reports).toHaveLength(1);
    load = { ...LOAD, activeRecordings: 7 };
    table.take(0);
    expect(await table.report(1)).toMatchObject({ activeRecordings: 7 });
    table.take(1);
    await end();
  });

  it('say that the state has changed until a report has said so', async () => {
    begin();
    await table.report(0);
    table.take(0);
    load = { ...LOAD, state: 'unhealthy', reasons: ['full'] };
    reports.changed();
    expect(await table.report(1)).toMatchObject({ state: 'unhealthy', stateChanged: true });
    table.refuse(1);
    reports.changed();
    expect(await table.report(2)).toMatchObject({ state: 'unhealthy', stateChanged: true });
    table.take(2);
    reports.changed();
    expect(await table.report(3)).toMatchObject({ state: 'unhealthy', stateChanged: false });
    table.take(3);
    await end();
  });

  it('say so also of a state that is back, if the table may hold another', async () => {
    begin();
    await table.report(0);
    table.take(0);
    load = { ...LOAD, state: 'unhealthy' };
    reports.changed();
    await table.report(1);
    table.refuse(1); // who knows
    load = LOAD;
    reports.changed();
    expect(await table.report(2)).toMatchObject({ state: 'serving', stateChanged: true });
    table.take(2);
    await end();
  });

  it('say so of the first one, however often it is refused', async () => {
    begin();
    await table.report(0);
    table.refuse(0);
    reports.changed();
    expect(await table.report(1)).toMatchObject({ stateChanged: true });
    table.take(1);
    await end();
  });

  it('are given up when they take too long, and logged once until one is written', async () => {
    begin({ intervalMs: 5, limitMs: 20 });
    await table.report(3); // three have had no answer
    expect(await logs.find(FAILING)).toMatchObject({ level: 40 });
    const index = table.reports.length;
    for (let next = index; reports.counters.written === 0; next++) {
      await table.report(next);
      table.take(next);
      await new Promise(setImmediate);
    }
    await logs.find(WORKING);
    expect(logs.lines.filter(({ msg }) => msg === FAILING)).toHaveLength(1);
    expect(logs.lines.filter(({ msg }) => msg === WORKING)).toHaveLength(1);
    expect(reports.counters.failed).toBeGreaterThanOrEqual(3);
    await reports.stop();
  });

  it('end with a last one, also when another is on its way, and do not wait for ever', async () => {
    begin({ limitMs: 20 });
    await table.report(0);
    load = { ...LOAD, state: 'draining', reasons: ['draining'] };
    await reports.stop();
    expect(table.reports.at(-1)).toMatchObject({ state: 'draining', stateChanged: true });
    expect(reports.counters).toEqual({ written: 0, failed: 2 });
  });

  it('survive facts that cannot be had', async () => {
    begin({ load: () => Promise.reject(new Error('no facts')) });
    expect((await logs.find(FAILING)).err).toMatchObject({ message: 'no facts' });
    await reports.stop();
    expect(table.reports).toEqual([]);
  });
});
