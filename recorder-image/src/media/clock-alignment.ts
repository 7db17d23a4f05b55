/**
 * Aligning streams of one sender by its sender reports (RFC 3550 6.4.1).
 *
 * Streams with the same CNAME have their NTP timestamps from one clock (6.5.1), so that these tell how the streams lie
 * to each other, whatever the network did to either. How that clock lies to ours the arrival times tell, those of the
 * stream with the least delay.
 */
import type { ClockPeriod, ClockReport, StreamClock } from './clock-survey.ts';
import { TICK_RATE, TICKS_PER_MS } from './ticks.ts';

/** Reports that are further from the arrival times are not believed. */
const MAX_SHIFT = 500 * TICKS_PER_MS;
/** Between two reports the RTP clock may differ from the NTP clock by so much: 1000 ppm, and the grain of both. */
const MAX_SLOPE = 1 / 1000;
/** Without a report for so long a stream is not there: three of their usual intervals (RFC 3550 6.2). */
const SILENCE = 15_000 * TICKS_PER_MS;
const GRAIN = 5 * TICKS_PER_MS;
/** A period whose reports can be believed. */
interface ReportedPeriod {
  period: ClockPeriod;
  reports: ClockReport[];
}

/** The clocks of a recording's streams, aligned where they can be; all others as they are. */
export function alignByReports(clocks: readonly StreamClock[]): StreamClock[] {
  const groups = new Map<string, ReportedPeriod[]>();
  for (const { periods, cnames } of clocks)
    for (const period of periods) {
      const cname = cnames.get(period.ssrc);
      const reports = believable(period.reports);
      if (cname === undefined || reports.length === 0) continue;
      groups.set(cname, [...(groups.get(cname) ?? []), { period, reports }]);
    }
  const aligned = new Map<ClockPeriod, ClockPeriod>();
  for (const group of groups.values())
    for (const one of group) {
      const period = align(one, group);
      if (period !== undefined) aligned.set(one.period, period);
    }
  return clocks.map((clock) => ({
    ...clock,
    periods: clock.periods.map((period) => aligned.get(period) ?? period),
  }));
}

/** Those that run as the RTP clock does; none if most do not. */
function believable(reports: readonly ClockReport[]): ClockReport[] {
  const kept: ClockReport[] = [];
  for (const report of reports) {
    const last = kept.at(-1);
    const change = last === undefined ? 0 : Math.abs(report.offset - last.offset);
    const passed = last === undefined ? 0 : report.arrival - last.arrival;
    if (change <= passed * MAX_SLOPE + GRAIN) kept.push(report);
  }
  return kept.length * 2 > reports.length ? kept : [];
}

/** The last item that is not after a time, or the first. */
function latest<Item>(
  items: readonly Item[],
  time: number,
  timeOf: (item: Item) => number,
): Item | undefined {
  let [from, to] = [0, items.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (timeOf(items[middle] as Item) <= time) from = middle + 1;
    else to = middle;
  }
  return items[Math.max(0, from - 1)];
}

/** NTP - RTP timestamp at a time. */
const reportedOffset = ({ reports }: ReportedPeriod, time: number): number =>
  latest(reports, time, ({ arrival }) => arrival)?.offset ?? 0;

/** What the network and the two clocks make of a time of a sender's clock; undefined if the period is not then. */
function clockOffset(one: ReportedPeriod, time: number): number | undefined {
  const { windows } = one.period;
  const begin = one.reports[0]?.arrival ?? time;
  const end = one.reports.at(-1)?.arrival ?? time;
  if (time < begin - SILENCE || time > end + SILENCE) return undefined;
  const window = windows.find(({ until }) => until >= time) ?? windows.at(-1);
  return window && window.offset - reportedOffset(one, time);
}

/** Undefined where the arrival times contradict the reports, or nobody else is there. */
function align(one: ReportedPeriod, group: readonly ReportedPeriod[]): ClockPeriod | undefined {
  const { windows } = one.period;
  const others = group.filter((other) => other !== one);
  const end = one.reports.at(-1)?.arrival ?? 0;
  const shifts = windows.map(({ until, offset }) => {
    const time = Math.min(until, end);
    const own = offset - reportedOffset(one, time);
    const theirs = others.flatMap((other) => clockOffset(other, time) ?? []);
    return theirs.length === 0 ? undefined : Math.min(own, ...theirs) - own;
  });
  const first = shifts.find((shift) => shift !== undefined);
  if (first === undefined || shifts.some((shift = 0) => Math.abs(shift) > MAX_SHIFT)) return undefined;
  /** What is aligned stays on the steps of its clock. */
  const step = TICK_RATE / one.period.clockRate;
  // Where the others have not come yet, or have gone, the shift is that of the time with them.
  let shift = first;
  return {
    ...one.period,
    windows: windows.map(({ until, offset }, index) => {
      shift = shifts[index] ?? shift;
      return { until, offset: offset + Math.round(shift / step) * step };
    }),
  };
}
