/**
 * A window of time that comes again on days of the week, by the clocks of a time zone.
 *
 * `from` and `to` are wall-clock times. Each stands for the first instant of its day at which clocks there show that time
 * or a later one. So, where clocks are set back, a window begins and ends at the first of the two times that read the same;
 * where they are set forward over `from` or `to`, at the moment of the jump; and a night has seven or nine hours rather than
 * eight where that is how long it is.
 */
import { z } from 'zod';

/** By `Date.getUTCDay()`. */
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

const isTimeZone = (name: string): boolean => {
  // Offsets (`+02:00`) are taken by Intl too: they know no summer time, and are hardly what somebody means.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
};

const CLOCK = /^([01]\d|2[0-3]):[0-5]\d$/;
const MIDNIGHT = '24:00';

const DEFAULT_DAYS: (typeof DAYS)[number][] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

export const timeWindowSchema = z.strictObject({
  timeZone: z.string().refine(isTimeZone, 'write a time zone of the IANA database, such as America/Chicago'),
  /** On which it opens; one that opens in the evening may close on a day that is not among them. */
  days: z
    .array(z.enum(DAYS, `write ${DEFAULT_DAYS.join(', ')}`))
    .min(1, 'name at least one day, or leave the key out for all')
    .default(DEFAULT_DAYS),
  from: z.string().regex(CLOCK, 'write a time from "00:00" to "23:59", in quotes'),
  /** Not after `from`: of the next day. */
  to: z
    .string()
    .refine(
      (text) => CLOCK.test(text) || text === MIDNIGHT,
      'write a time from "00:00" to "24:00", in quotes',
    ),
});
export type TimeWindow = z.infer<typeof timeWindowSchema>;

/** `since` is when the window opened on this day; `closesAt` is absent if it opens anew whenever it closes. */
export type WindowState =
  | { isOpen: true; since: Date; closesAt?: Date }
  | { isOpen: false; since?: undefined; opensAt: Date };

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** A window of one day a week that a change of clocks swallows opens a week later. */
const HORIZON_DAYS = 15;

/** Whether a window is open at an instant, and when that changes next. Its first instant is in it, its last is not. */
export function windowState(window: TimeWindow, at: Date): WindowState {
  let open: { since: Date; closesAt: Date } | undefined;
  for (const { from, to } of openings(window, at)) {
    if (to <= at.getTime()) continue;
    if (from <= at.getTime()) {
      // Of two that overlap by a change of clocks, the later one is the day's.
      open = { since: new Date(from), closesAt: new Date(Math.max(to, open?.closesAt.getTime() ?? 0)) };
      continue;
    }
    if (!open) return { isOpen: false, opensAt: new Date(from) };
    if (from > open.closesAt.getTime()) return { isOpen: true, ...open };
    open.closesAt = new Date(to);
  }
  if (open) return { isOpen: true, since: open.since };
  throw new Error(`a window without an opening in ${HORIZON_DAYS} days: ${JSON.stringify(window)}`);
}

/** The times, in order, at which it opens and closes, from the day before on. */
function* openings(
  { timeZone, days, from, to }: TimeWindow,
  at: Date,
): Generator<{ from: number; to: number }> {
  const today = Math.floor(wallClock(at.getTime(), timeZone) / DAY_MS) * DAY_MS;
  const [fromMs, toMs] = [clockMs(from), clockMs(to)];
  for (let day = today - DAY_MS; day <= today + HORIZON_DAYS * DAY_MS; day += DAY_MS) {
    if (!days.includes(DAYS[new Date(day).getUTCDay()] as (typeof DAYS)[number])) continue;
    const opening = {
      from: instantOf(day, fromMs, timeZone),
      to: toMs > fromMs ? instantOf(day, toMs, timeZone) : instantOf(day + DAY_MS, toMs, timeZone),
    };
    if (opening.from < opening.to) yield opening;
  }
}

function clockMs(text: string): number {
  const [hours, minutes] = text.split(':').map(Number) as [number, number];
  return (hours * 60 + minutes) * MINUTE_MS;
}

/** The first instant at which clocks show a time of a day, or a later one. `day` is its midnight, as if it were UTC. */
function instantOf(day: number, clock: number, timeZone: string): number {
  const wanted = day + clock;
  // Clocks are set at most once within these two days.
  const [before, after] = [wanted - DAY_MS, wanted + DAY_MS].map((instant) => offset(instant, timeZone)) as [
    number,
    number,
  ];
  // With a jump ahead, both of these may show another time than is wanted, and the jump lies between them.
  const [first, last] = [wanted - Math.max(before, after), wanted - Math.min(before, after)];
  if (wallClock(first, timeZone) === wanted) return first;
  if (before >= after) return last;
  let [early, late] = [first, last];
  while (late - early > MINUTE_MS) {
    const middle = early + Math.ceil((late - early) / 2 / MINUTE_MS) * MINUTE_MS;
    if (wallClock(middle, timeZone) >= wanted) late = middle;
    else early = middle;
  }
  return late;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** What clocks show at an instant, as if it were UTC. */
function wallClock(instant: number, timeZone: string): number {
  let format = formats.get(timeZone);
  if (!format) {
    const numeric = 'numeric';
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
      second: numeric,
    });
    formats.set(timeZone, format);
  }
  const shown = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, +value]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (instant % 1000);
}

const offset = (instant: number, timeZone: string): number => wallClock(instant, timeZone) - instant;
