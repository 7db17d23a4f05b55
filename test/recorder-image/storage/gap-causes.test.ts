import type { Gap, Hold } from '../../../core/manifest.ts';
import { droppedPackets, explainGaps, missingMs } from '../../../recorder-image/src/storage/gap-causes.ts';

const STARTED_AT_MS = Date.UTC(2026, 0, 5, 12, 0, 0);
const ENDED_AT_MS = STARTED_AT_MS + 60_000;

const gap = (fromMs: number, toMs: number, cause: Gap['cause']): Gap => ({ fromMs, toMs, cause });
const at = (ms: number): string => new Date(STARTED_AT_MS + ms).toISOString();
const hold = (fromMs: number, toMs?: number): Hold => ({
  streamLabel: '1',
  startedAt: at(fromMs),
  ...(toMs !== undefined && { endedAt: at(toMs) }),
  cause: 'inactive',
});
const drop = (fromMs: number, toMs: number, packets = 5) => ({
  fromMs: STARTED_AT_MS + fromMs,
  toMs: STARTED_AT_MS + toMs,
  packets,
});

/** The cause of one gap. */
const causeOf = (
  given: Gap,
  holds: Hold[],
  drops: ReturnType<typeof drop>[] = [],
): Gap['cause'] | undefined => explainGaps([given], STARTED_AT_MS, ENDED_AT_MS, { drops, holds })[0]?.cause;

describe('explainGaps', () => {
  it.each<[string, Gap, Gap['cause']]>([
    ['within the time of a drop', gap(5200, 5300, 'lost'), 'dropped'],
    ['across the end of it', gap(5900, 6500, 'lost'), 'dropped'],
    ['before it', gap(4000, 4700, 'lost'), 'lost'],
    ['after it', gap(6100, 6500, 'lost'), 'lost'],
    ['within it, where nothing was lost', gap(5200, 5300, 'not-sent'), 'not-sent'],
  ])('knows what the kernel dropped: %s', (_where, given, cause) => {
    expect(causeOf(given, [], [drop(5000, 6000)])).toBe(cause);
  });

  it.each<[string, Gap, Gap['cause']]>([
    ['all of it', gap(10_000, 20_000, 'not-sent'), 'hold'],
    ['a part', gap(12_000, 13_000, 'not-sent'), 'hold'],
    ['a little longer on both sides', gap(9200, 20_900, 'not-sent'), 'hold'],
    ['half of what is missing', gap(10_000, 30_000, 'not-sent'), 'not-sent'],
    ['nothing of it', gap(25_000, 26_000, 'not-sent'), 'not-sent'],
    ['lost packets', gap(12_000, 13_000, 'lost'), 'lost'],
    ['a crash', gap(12_000, 13_000, 'crash'), 'hold'],
    ['what could not be decoded', gap(12_000, 13_000, 'undecoded'), 'undecoded'],
  ])('knows a hold: %s', (_what, given, cause) => {
    expect(causeOf(given, [hold(10_000, 20_000)])).toBe(cause);
  });

  it('knows a hold from the beginning, to the end, and in two parts', () => {
    expect(causeOf(gap(0, 5000, 'not-sent'), [hold(-3000, 5000)])).toBe('hold');
    expect(causeOf(gap(50_000, 60_000, 'not-sent'), [hold(50_000)])).toBe('hold');
    expect(causeOf(gap(10_000, 30_000, 'not-sent'), [hold(10_000, 20_000), hold(20_000, 30_000)])).toBe(
      'hold',
    );
  });
});

describe('droppedPackets', () => {
  it('is the sum, and no more than are missing', () => {
    const drops = [drop(0, 1, 5), drop(5, 6, 7)];
    expect([droppedPackets(100, drops), droppedPackets(8, drops), droppedPackets(8, [])]).toEqual([12, 8, 0]);
  });
});

describe('missingMs', () => {
  it('sums the gaps up by cause, listed or not', () => {
    expect(
      missingMs({
        gaps: [gap(0, 100, 'lost'), gap(200, 250, 'crash'), gap(300, 400, 'lost')],
        unlistedGaps: [{ cause: 'lost', count: 10, totalMs: 400 }],
      }),
    ).toEqual({ lost: 600, crash: 50 });
  });
});
