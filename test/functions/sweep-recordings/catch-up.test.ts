import {
  advanced,
  type CatchUp,
  catchUpOfWindow,
  isAgain,
  MAX_PASSES,
  newCatchUp,
} from '../../../functions/sweep-recordings/catch-up.ts';

const NIGHT = '2026-11-20T22:00:00.000Z';
const NEXT = new Date('2026-11-21T22:00:00.000Z');
const begun = newCatchUp(NIGHT, '2026-11-18');

describe('a window that opens', () => {
  it('begins at the first day, where it has never been open', () => {
    expect(catchUpOfWindow(undefined, new Date(NIGHT), '2026-11-07')).toEqual(
      newCatchUp(NIGHT, '2026-11-07'),
    );
  });

  it('goes on with what this opening has begun', () => {
    const state: CatchUp = { ...begun, day: '2026-11-19', after: 'X', requested: 3 };
    expect(catchUpOfWindow(state, new Date(NIGHT), '2026-11-07')).toBe(state);
  });

  it('begins again where the last one began, if that was not finished', () => {
    const state: CatchUp = { ...begun, day: '2026-11-19', after: 'X', requested: 3 };
    expect(catchUpOfWindow(state, NEXT, '2026-11-07')).toEqual(newCatchUp(NEXT.toISOString(), '2026-11-18'));
  });

  it('begins a day before the last opening, if that was finished', () => {
    const state = { ...begun, finishedAt: NIGHT };
    expect(catchUpOfWindow(state, NEXT, '2026-11-07').since).toBe('2026-11-19');
  });
});

describe('going through the days', () => {
  const now = new Date('2026-11-20T23:00:00.000Z');
  const step = (from: CatchUp, after: string | undefined, requested = 0) =>
    advanced(from, { after, requested, now });

  it('goes on behind the last recording, then with the next day', () => {
    const first = step(begun, 'X', 2);
    expect(first).toMatchObject({ day: '2026-11-18', after: 'X', requested: 2, passRequested: 2 });
    const second = step(first, undefined, 1);
    expect(second).toMatchObject({ day: '2026-11-19', requested: 3, passRequested: 3 });
    expect(second).not.toHaveProperty('after');
  });

  it('is finished when a pass up to today has found nothing; else it goes again', () => {
    const today = { ...begun, day: '2026-11-20', after: 'X' };
    expect(step(today, undefined)).toMatchObject({ finishedAt: now.toISOString() });
    const again = step({ ...today, passRequested: 2, requested: 2 }, undefined, 1);
    expect(again).toMatchObject({ day: '2026-11-18', pass: 2, passRequested: 0, requested: 3 });
    expect(again).not.toHaveProperty('finishedAt');
    expect([begun, today, again, step(again, 'A')].map(isAgain)).toEqual([false, false, true, false]);
  });

  it('gives up on what cannot be copied after many passes', () => {
    const last = { ...begun, day: '2026-11-20', pass: MAX_PASSES, passRequested: 1 };
    expect(step(last, undefined)).toMatchObject({ finishedAt: now.toISOString(), passRequested: 1 });
  });
});
