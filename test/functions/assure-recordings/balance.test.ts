import type { LedgerEntry } from '../../../core/recording-ledger.ts';
import { hoursInLedger } from '../../../functions/assure-recordings/balance.ts';

const NOW = Date.parse('2026-11-25T13:02:00.000Z');

const entry = (over: Partial<LedgerEntry>): LedgerEntry => ({
  slot: 'use1-1',
  hour: '2026-11-25T12',
  bootId: 'first',
  bootedAt: '2026-11-25T11:00:00.000Z',
  answered: 10,
  open: 4,
  at: '2026-11-25T13:00:00.000Z',
  expiresAt: 1_800_000_000,
  ...over,
});

describe('the hours of a ledger', () => {
  it('have what all processes began, and what the newest one has', () => {
    const second = { bootId: 'second', bootedAt: '2026-11-25T13:01:00.000Z', at: '2026-11-25T13:01:30.000Z' };
    expect(hoursInLedger([entry({}), entry({ ...second, answered: 0, open: 3 })], NOW)).toEqual([
      {
        slot: 'use1-1',
        hour: '2026-11-25T12',
        answered: 10,
        open: 3,
        // The second process vouches for nothing of that hour.
        spans: [
          { fromMs: Date.parse('2026-11-25T12:00:00.000Z'), toMs: Date.parse('2026-11-25T13:00:00.000Z') },
        ],
      },
    ]);
  });

  it('have nothing that the newest process did not speak of, dead though its predecessor is but a moment', () => {
    const next = entry({
      bootId: 'second',
      hour: '2026-11-25T13',
      bootedAt: '2026-11-25T13:01:00.000Z',
      at: '2026-11-25T13:01:30.000Z',
    });
    expect(hoursInLedger([entry({}), next], NOW).map(({ hour, open }) => [hour, open])).toEqual([
      ['2026-11-25T12', 0],
      ['2026-11-25T13', 4],
    ]);
  });

  it('are vouched for up to the last write of the process in any of them', () => {
    const [first] = hoursInLedger(
      [
        entry({ at: '2026-11-25T12:10:00.000Z', bootedAt: '2026-11-25T12:05:00.000Z' }),
        entry({
          hour: '2026-11-25T13',
          at: '2026-11-25T13:00:30.000Z',
          bootedAt: '2026-11-25T12:05:00.000Z',
        }),
      ],
      NOW,
    );
    expect(first?.spans).toEqual([
      { fromMs: Date.parse('2026-11-25T12:05:00.000Z'), toMs: Date.parse('2026-11-25T13:00:00.000Z') },
    ]);
  });
});
