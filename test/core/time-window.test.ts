/** Times of UTC are worked out by hand: Chicago is 6 hours behind in winter and 5 in summer, from 8 March to 1 November 2026. */
import { type TimeWindow, timeWindowSchema, windowState } from '../../core/time-window.ts';

const CHICAGO = 'America/Chicago';
const window = (given: Partial<TimeWindow>): TimeWindow =>
  timeWindowSchema.parse({ timeZone: CHICAGO, from: '22:00', to: '06:00', ...given });

/** `open until …`, `closed until …`, as the window says it of an instant. */
function at(instant: string, given: Partial<TimeWindow> = {}): string {
  const state = windowState(window(given), new Date(instant));
  const until = (date?: Date) => date?.toISOString().replace(':00.000Z', 'Z') ?? 'ever';
  return state.isOpen ? `open until ${until(state.closesAt)}` : `closed until ${until(state.opensAt)}`;
}

describe('a window at night', () => {
  it('is open from its first instant up to its last, which is not in it', () => {
    expect(at('2026-11-25T03:59:59.999Z')).toBe('closed until 2026-11-25T04:00Z');
    expect(at('2026-11-25T04:00:00.000Z')).toBe('open until 2026-11-25T12:00Z');
    expect(at('2026-11-25T05:59:00.000Z')).toBe('open until 2026-11-25T12:00Z'); // before midnight there
    expect(at('2026-11-25T06:01:00.000Z')).toBe('open until 2026-11-25T12:00Z'); // after it
    expect(at('2026-11-25T11:59:59.999Z')).toBe('open until 2026-11-25T12:00Z');
    expect(at('2026-11-25T12:00:00.000Z')).toBe('closed until 2026-11-26T04:00Z');
  });

  it('says when it opened', () => {
    const { since } = windowState(window({}), new Date('2026-11-25T11:00:00.000Z'));
    expect(since?.toISOString()).toBe('2026-11-25T04:00:00.000Z');
  });

  it('has seven hours where clocks are set forward in it, nine where they are set back', () => {
    expect(at('2026-03-08T04:00:00.000Z')).toBe('open until 2026-03-08T11:00Z');
    expect(at('2026-03-08T11:00:00.000Z')).toBe('closed until 2026-03-09T03:00Z');
    expect(at('2026-11-01T03:00:00.000Z')).toBe('open until 2026-11-01T12:00Z');
    expect(at('2026-11-01T12:00:00.000Z')).toBe('closed until 2026-11-02T04:00Z');
  });

  it('is open on the days on which it opens, and the morning after', () => {
    const days: TimeWindow['days'] = ['fri'];
    expect(at('2026-11-27T11:00:00.000Z', { days })).toBe('closed until 2026-11-28T04:00Z'); // Friday morning
    expect(at('2026-11-28T05:00:00.000Z', { days })).toBe('open until 2026-11-28T12:00Z'); // Friday night
    expect(at('2026-11-28T11:59:00.000Z', { days })).toBe('open until 2026-11-28T12:00Z'); // Saturday morning
    expect(at('2026-11-28T12:00:00.000Z', { days })).toBe('closed until 2026-12-05T04:00Z');
  });
});

describe('a window within a day', () => {
  it('opens and closes on the same day', () => {
    const given = { from: '01:30', to: '04:00' };
    expect(at('2026-11-25T07:29:00.000Z', given)).toBe('closed until 2026-11-25T07:30Z');
    expect(at('2026-11-25T07:30:00.000Z', given)).toBe('open until 2026-11-25T10:00Z');
    expect(at('2026-11-25T10:00:00.000Z', given)).toBe('closed until 2026-11-26T07:30Z');
  });

  it('begins at the jump where clocks jump over its beginning, and is over where they jump over all of it', () => {
    const before = '2026-03-08T07:00:00.000Z';
    expect(at(before, { from: '02:30', to: '04:00' })).toBe('closed until 2026-03-08T08:00Z');
    expect(at('2026-03-08T08:00:00.000Z', { from: '02:30', to: '04:00' })).toBe(
      'open until 2026-03-08T09:00Z',
    );
    expect(at(before, { from: '01:30', to: '02:30' })).toBe('closed until 2026-03-08T07:30Z');
    expect(at('2026-03-08T07:30:00.000Z', { from: '01:30', to: '02:30' })).toBe(
      'open until 2026-03-08T08:00Z',
    );
    expect(at(before, { from: '02:00', to: '03:00' })).toBe('closed until 2026-03-09T07:00Z');
    expect(at(before, { from: '02:00', to: '03:00', days: ['sun'] })).toBe('closed until 2026-03-15T07:00Z');
  });

  it('begins and ends at the first of two times that read the same', () => {
    expect(at('2026-11-01T06:00:00.000Z', { from: '01:15', to: '03:00' })).toBe(
      'closed until 2026-11-01T06:15Z',
    );
    expect(at('2026-11-01T06:15:00.000Z', { from: '01:15', to: '03:00' })).toBe(
      'open until 2026-11-01T09:00Z',
    );
    expect(at('2026-11-01T06:00:00.000Z', { from: '00:30', to: '01:15' })).toBe(
      'open until 2026-11-01T06:15Z',
    );
    expect(at('2026-11-01T07:00:00.000Z', { from: '00:30', to: '01:15' })).toBe(
      'closed until 2026-11-02T06:30Z',
    );
  });

  it('knows a midnight that does not exist: clocks in Cairo jump over it', () => {
    const given = { timeZone: 'Africa/Cairo', from: '00:00', to: '02:00' };
    expect(at('2026-04-23T21:59:00.000Z', given)).toBe('closed until 2026-04-23T22:00Z'); // 01:00 there
    expect(at('2026-04-23T22:00:00.000Z', given)).toBe('open until 2026-04-23T23:00Z');
  });
});

describe('a window of whole days', () => {
  it('goes on from one to the next', () => {
    const given: Partial<TimeWindow> = { from: '00:00', to: '24:00', days: ['sat', 'sun'] };
    expect(at('2026-11-28T05:59:00.000Z', given)).toBe('closed until 2026-11-28T06:00Z');
    expect(at('2026-11-28T06:00:00.000Z', given)).toBe('open until 2026-11-30T06:00Z');
    expect(at('2026-11-30T06:00:00.000Z', given)).toBe('closed until 2026-12-05T06:00Z');
  });

  it('that has all days never closes', () => {
    expect(at('2026-11-25T05:59:00.000Z', { from: '00:00', to: '24:00' })).toBe('open until ever');
  });
});

it('keeps to zones whose offset is no whole hour, on the other side of the date line, and in the south', () => {
  expect(at('2026-11-25T16:00:00.000Z', { timeZone: 'Asia/Kolkata' })).toBe('closed until 2026-11-25T16:30Z');
  expect(at('2026-11-25T16:30:00.000Z', { timeZone: 'Asia/Kolkata' })).toBe('open until 2026-11-26T00:30Z');
  expect(at('2026-11-25T10:00:00.000Z', { timeZone: 'Pacific/Auckland' })).toBe(
    'open until 2026-11-25T17:00Z',
  );
  expect(at('2026-06-25T10:00:00.000Z', { timeZone: 'Pacific/Auckland' })).toBe(
    'open until 2026-06-25T18:00Z',
  );
  expect(at('2026-11-25T21:59:30.500Z', { timeZone: 'UTC' })).toBe('closed until 2026-11-25T22:00Z');
});

it('agrees with the clocks of every minute around both changes', () => {
  const clock = new Intl.DateTimeFormat('en-GB', { timeZone: CHICAGO, hour: '2-digit', minute: '2-digit' });
  const night = window({});
  for (const day of ['2026-03-07', '2026-10-31'])
    for (let minute = 0; minute < 3 * 24 * 60; minute += 7) {
      const instant = new Date(Date.parse(day) + minute * 60_000);
      const shown = clock.format(instant);
      expect([instant, windowState(night, instant).isOpen]).toEqual([
        instant,
        shown >= '22:00' || shown < '06:00',
      ]);
    }
});
