import type { Gap, Hold, RecordedStream } from '../../../core/manifest.ts';
import type { AssembledStream } from '../../../recorder-image/src/media/assemble.ts';
import type { Ending, SessionRecord } from '../../../recorder-image/src/storage/session-record.ts';
import { type StreamOutcome, statusOf } from '../../../recorder-image/src/storage/status.ts';

const END_MS = Date.parse('2026-11-25T10:00:00.000Z');
const earlier = (seconds: number): string => new Date(END_MS - 1000 * seconds).toISOString();

/** Two streams of a call that ended at 10:00, as far as the status looks at them. */
function status({
  quietSeconds = [0, 0],
  gaps = [],
  holds = [],
  endedBy = 'bye',
}: {
  quietSeconds?: (number | undefined)[];
  gaps?: Gap[];
  holds?: Hold[];
  endedBy?: Ending;
}) {
  const outcomes = quietSeconds.map((seconds, index): StreamOutcome => {
    const label = String(index + 1);
    const heard = seconds === undefined ? {} : { lastPacketAt: earlier(seconds) };
    const stream = {
      label,
      packets: seconds === undefined ? 0 : 500,
      lostPackets: 0,
      gaps: index === 0 ? gaps : [],
      ...heard,
    };
    return {
      journal: `stream-${label}.rtpdump`,
      stream: stream as unknown as RecordedStream,
      assembled: { truncatedJournal: false } as AssembledStream,
      counters: undefined,
    };
  });
  const record = {
    unreadableLines: 0,
    events: [
      ...outcomes.map(({ journal, stream }) => ({ type: 'stream', journal, label: stream.label })),
      { type: 'closed', endedBy },
    ],
  } as unknown as SessionRecord;
  return statusOf(record, outcomes, { endedAtMs: END_MS, holds });
}

const hold = (from: number, to?: number): Hold => ({
  streamLabel: '1',
  startedAt: earlier(from),
  ...(to !== undefined && { endedAt: earlier(to) }),
  cause: 'inactive',
});
const pause = (seconds: number): Gap => ({ fromMs: 1_000, toMs: 1_000 + 1000 * seconds, cause: 'not-sent' });
const QUIET = /^no RTP came in the last \d+\.\d s before the end of the call$/;

describe('RTP that stopped before the BYE', () => {
  it.each([
    ['a moment before', { quietSeconds: [2.9, 40] }],
    ['long before, on hold', { quietSeconds: [40, 40], holds: [hold(41)] }],
    ['long before, on hold until just before the BYE', { quietSeconds: [40, 40], holds: [hold(41, 1)] }],
    ['by a sender that had paused for as long before', { quietSeconds: [40, 40], gaps: [pause(41)] }],
  ])('is no reason: %s', (_, facts) => {
    expect(status(facts)).toEqual({ status: 'complete', statusReasons: [] });
  });

  it.each([
    ['on both legs', { quietSeconds: [3.1, 40] }],
    ['by a sender that had paused for a moment', { quietSeconds: [40, 40], gaps: [pause(4)] }],
    ['after a hold', { quietSeconds: [40, 40], holds: [hold(60, 50)] }],
  ])('makes a recording partial: %s', (_, facts) => {
    expect(status(facts)).toEqual({ status: 'partial', statusReasons: [expect.stringMatching(QUIET)] });
  });

  it('is not told beside a better reason', () => {
    const { statusReasons } = status({ quietSeconds: [40, 40], endedBy: 'silence' });
    expect(statusReasons).toEqual(['the end of the call was not signalled: no RTP came any more']);
  });

  it('says nothing where there was no RTP at all', () => {
    const { statusReasons } = status({ quietSeconds: [undefined, undefined] });
    expect(statusReasons).toEqual(['no RTP on stream 1', 'no RTP on stream 2']);
  });
});
