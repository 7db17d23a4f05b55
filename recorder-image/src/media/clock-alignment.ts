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

/** NTP - RTP timestamp at a time. */
function reportedOffset({ reports }: ReportedPeriod, time: number): number {
  const later = reports.findIndex(({ arrival }) => arrival > time);
  const report = later === -1 ? reports.at(-1) : reports[Math.max(0, later - 1)];
  return (report as ClockReport).offset;
}

/** Arrival - timestamp at a time; undefined if the period does not reach there. */
function arrivalOffset({ windows, reports }: ClockPeriod, time: number): number | undefined {
  const from = Math.min(reports[0]?.arrival ?? time, windows[0]?.until ?? time);
  return time < from ? undefined : windows.find(({ until }) => until >= time)?.offset;
}

/** Undefined where the arrival times contradict the reports, or nobody else is there. */
function align(one: ReportedPeriod, group: readonly ReportedPeriod[]): ClockPeriod | undefined {
  if (group.length < 2) return undefined;
  /** What is aligned stays on the steps of its clock. */
  const step = TICK_RATE / one.period.clockRate;
  const end = one.reports.at(-1)?.arrival ?? 0;
  const windows = one.period.windows.map(({ until, offset }) => {
    const time = Math.min(until, end);
    const clock = Math.min(
      ...group.flatMap((other) => {
        const arrival = other === one ? offset : arrivalOffset(other.period, time);
        return arrival === undefined ? [] : [arrival - reportedOffset(other, time)];
      }),
    );
    const aligned = offset + Math.round((reportedOffset(one, time) + clock - offset) / step) * step;
    return { until, offset: aligned, shift: Math.abs(aligned - offset) };
  });
  if (windows.some(({ shift }) => shift > MAX_SHIFT)) return undefined;
  return { ...one.period, windows: windows.map(({ until, offset }) => ({ until, offset })) };
}
