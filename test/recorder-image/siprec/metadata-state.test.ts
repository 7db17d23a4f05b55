import { readMetadata } from '../../../recorder-image/src/siprec/metadata.ts';
import { applyMetadata, metadataStates } from '../../../recorder-image/src/siprec/metadata-state.ts';
import type { RecordingMetadata } from '../../../recorder-image/src/siprec/model.ts';
import { metadataFixture } from '../../fixtures/load.ts';
import { mutations } from '../../fixtures/mutate.ts';
import { metadataFixtureNames, metadataOf, rfc7865 } from './support.ts';

const read = (text: string) => readMetadata(Buffer.from(text));

/** Last digits of everybody's number, and how many streams they send. */
const sending = ({ participants }: RecordingMetadata) =>
  participants.map(({ number, sendsStreamIds }) => [number?.slice(-4), sendsStreamIds?.length]);

describe('metadataStates', () => {
  it('replaces everything by a complete document', () => {
    const [, second] = metadataStates([metadataOf('webex-dual-termcall'), metadataOf('webex-redirected')]);
    expect(second).toEqual(metadataOf('webex-redirected'));
  });

  it('merges RFC 7865 updates: a third party, hold, and a return', () => {
    const [first, joined, held, returned] = metadataStates(
      ['two-streams', 'partial-joined', 'partial-hold', 'partial-returned'].map((name) =>
        metadataOf(`rfc7865-${name}`),
      ),
    ) as [RecordingMetadata, RecordingMetadata, RecordingMetadata, RecordingMetadata];
    expect(sending(joined)).toEqual([
      ['0101', 1],
      ['0102', 1],
      ['0103', 1],
    ]);
    expect(joined.streams).toEqual(first.streams);
    expect(joined.dataMode).toBe('complete');
    expect(sending(held)).toEqual([
      ['0101', 0],
      ['0102', 0],
      ['0103', 1],
    ]);
    // What an association does not tell again, names and stays, is as before.
    expect(held.participants[0]).toMatchObject({
      names: ['Alice & Co'],
      joins: ['2026-03-02T09:15:01.000Z'],
    });
    expect(returned.participants[1]).toMatchObject({
      joins: ['2026-03-02T09:15:02.000Z', '2026-03-02T09:18:00.000Z'],
      leaves: ['2026-03-02T09:16:00.000Z'],
    });
  });

  it('takes whoever a partial BroadWorks document lists without send as gone, whatever the id', () => {
    const left = metadataOf('broadworks-partial-party-left');
    const states = metadataStates([metadataOf('broadworks-dual-origcall'), left]);
    expect(states.map(sending)).toEqual([
      [
        ['0102', 1],
        ['0101', 1],
      ],
      [['0101', 1]],
    ]);
    const renamed = {
      ...left,
      participants: left.participants.map((participant) => ({ ...participant, id: `${participant.id}-new` })),
    };
    expect(
      applyMetadata(metadataOf('broadworks-dual-origcall'), renamed).participants.map(({ number }) => number),
    ).not.toContain('+12025550102');
  });

  it('keeps the facts of BroadWorks that a partial document does not tell', () => {
    const [, second] = metadataStates([
      metadataOf('broadworks-dual-origcall'),
      metadataOf('broadworks-partial-party-left'),
    ]);
    expect(second?.broadWorks).toMatchObject({
      dialedDigits: '5550102',
      newExtTrackingId: '22222222-0000-4000-8000-000000000002',
    });
    expect(second?.direction).toBe('outgoing');
  });

  it('takes a participant of a draft without send as silent, but there', () => {
    const update = read(
      '<recording xmlns="urn:ietf:params:xml:ns:recording"><dataMode>partial</dataMode><participant id="T3JhY2xlLXBhcnR5LTAwMg=="/></recording>',
    );
    expect(sending(applyMetadata(metadataOf('draft-oracle'), update))).toEqual([
      ['0101', 1],
      ['0102', 0],
    ]);
  });

  it('lets a document that is cut take nothing away', () => {
    const xml = metadataFixture('broadworks-dual-termcall');
    const cut = readMetadata(xml.subarray(0, xml.lastIndexOf('<participant')));
    const state = applyMetadata(metadataOf('broadworks-dual-origcall'), cut);
    expect(state.participants.map(({ number }) => number)).toEqual(
      expect.arrayContaining(['+12025550101', '+12025550102']),
    );
    expect(state.warnings.map(({ code }) => code)).toContain('metadata-cut');
  });

  it.each([
    ['what is no XML', 'not xml', 'metadata-unreadable'],
    ['an empty document', rfc7865(''), 'metadata-without-content'],
  ])('lets %s change nothing', (_, text, code) => {
    const before = metadataOf('rfc7865-two-streams');
    const { warnings, ...after } = applyMetadata(before, read(text));
    expect({ ...after, warnings: [] }).toEqual(before);
    expect(warnings.map((warning) => warning.code)).toEqual([code]);
  });

  it('warns about a partial document before any complete one', () => {
    const [first] = metadataStates([metadataOf('rfc7865-partial-joined')]);
    expect(first?.dataMode).toBe('partial');
    expect(first?.warnings.map(({ code }) => code)).toEqual(['partial-without-complete']);
  });

  it('keeps ids unique through whatever comes', () => {
    const seeds = metadataFixtureNames().map(metadataFixture);
    let state: RecordingMetadata | undefined;
    let count = 0;
    for (const input of mutations(seeds, 6)) {
      state = applyMetadata(count % 10 === 0 ? undefined : state, readMetadata(input));
      const ids = state.participants.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      count += 1;
      if (count === 2000) break;
    }
  });
});
