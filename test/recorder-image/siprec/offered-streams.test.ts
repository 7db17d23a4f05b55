import { offeredStreams } from '../../../recorder-image/src/siprec/offered-streams.ts';
import { type OfferedMLine, offered } from './support.ts';

const at = (second: number) => `2026-03-02T09:15:${String(second).padStart(2, '0')}.000Z`;

/** Offers ten seconds apart. */
const streams = (...offers: OfferedMLine[][]) =>
  offeredStreams(offers.map((mLines, i) => ({ at: at(i * 10), mLines: offered(...mLines) })));

/** The holds of the first stream, in seconds. */
const holds = (...offers: OfferedMLine[]) =>
  streams(...offers.map((mLine) => [{ label: '1', ...mLine }]))[0]?.holds.map(
    ({ cause, startedAt, endedAt }) => [cause, startedAt.slice(17, 19), endedAt?.slice(17, 19)],
  );

describe('offeredStreams', () => {
  it('lists the streams as they are opened, without those that are refused', () => {
    expect(
      streams([{ label: '1' }, { label: 'v', port: 0 }], [{ label: '1' }, { label: 'v', port: 0 }, {}]),
    ).toEqual([
      { mLine: 0, label: '1', openedAt: at(0), holds: [] },
      { mLine: 2, label: 'm2', openedAt: at(10), holds: [] },
    ]);
  });

  it('keeps the label of a stream when a later offer labels its m-line otherwise', () => {
    expect(streams([{ label: '1' }], [{ label: '7' }]).map(({ label }) => label)).toEqual(['1']);
  });

  it('closes a stream with its port, and opens another in its place', () => {
    expect(streams([{ label: '1' }], [{ label: '1', port: 0 }], [{ label: '3' }])).toEqual([
      {
        mLine: 0,
        label: '1',
        openedAt: at(0),
        closedAt: at(10),
        holds: [{ streamLabel: '1', startedAt: at(10), endedAt: at(20), cause: 'removed' }],
      },
      { mLine: 0, label: '3', openedAt: at(20), holds: [] },
    ]);
  });

  it('takes an m-line that vanished as removed', () => {
    expect(streams([{ label: '1' }, { label: '2' }], [{ label: '1' }])[1]).toMatchObject({
      closedAt: at(10),
    });
  });

  it.each<[string, OfferedMLine, string]>([
    ['a=inactive', { direction: 'inactive' }, 'inactive'],
    ['a=inactive and no address', { direction: 'inactive', address: '0.0.0.0' }, 'inactive'],
    ['no address', { address: '0.0.0.0' }, 'zero-address'],
    ['no address and no direction', { address: '0.0.0.0', direction: '' }, 'zero-address'],
    ['a=recvonly', { direction: 'recvonly' }, 'not-sending'],
    ['a=sendonly dropped', { direction: '' }, 'sendonly-dropped'],
  ])('sees a hold by %s, and its end', (_, hold, cause) => {
    expect(holds({}, hold, hold, {})).toEqual([[cause, '10', '30']]);
  });

  it('sees no hold in a session that never had a direction, nor in a resumption without one', () => {
    expect(holds({ direction: '' }, { direction: '' })).toEqual([]);
    expect(holds({}, { direction: 'inactive' }, { direction: '' })).toEqual([['inactive', '10', '20']]);
  });

  it('sees a hold from the start, one that changes its cause, and one without end', () => {
    expect(holds({ direction: 'inactive' }, {}, { address: '0.0.0.0' }, { direction: 'inactive' })).toEqual([
      ['inactive', '00', '10'],
      ['zero-address', '20', '30'],
      ['inactive', '30', undefined],
    ]);
  });

  it('sees no hold in the address of an SRC that never gives one, until it has given one', () => {
    const NONE = { address: '0.0.0.0' };
    expect(holds(NONE, NONE)).toEqual([]);
    expect(holds(NONE, { ...NONE, direction: 'inactive' }, NONE)).toEqual([['inactive', '10', '20']]);
    expect(holds(NONE, {}, NONE, NONE)).toEqual([['zero-address', '20', undefined]]);
  });

  it('sees no hold in another port or label', () => {
    expect(holds({}, { port: 5000 }, { label: '9' })).toEqual([]);
  });
});
