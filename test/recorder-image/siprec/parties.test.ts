import { type MLine, readOffer } from '../../../recorder-image/src/sdp/offer.ts';
import { readMetadata } from '../../../recorder-image/src/siprec/metadata.ts';
import type { RecordingMetadata } from '../../../recorder-image/src/siprec/model.ts';
import { mapParticipants } from '../../../recorder-image/src/siprec/parties.ts';
import { metadataFixture, sdpFixture } from '../../fixtures/load.ts';
import { mutations } from '../../fixtures/mutate.ts';

const fixture = (name: string) => readMetadata(metadataFixture(name));
const { mLines: DUAL } = readOffer(sdpFixture('broadworks-dual'));
const { mLines: SINGLE } = readOffer(sdpFixture('broadworks-single'));

const withLabels = (...labels: (string | undefined)[]): MLine[] =>
  readOffer(
    `v=0\r\n${labels.map((label) => `m=audio 4000 RTP/AVP 0\r\n${label ? `a=label:${label}\r\n` : ''}`).join('')}`,
  ).mLines;

/** Who is heard where, as [last digits of the number or the aor, labels]. */
const heard = (metadata: RecordingMetadata, mLines: readonly MLine[]) => {
  const { participants, warnings } = mapParticipants(metadata, mLines);
  return {
    parties: participants.map(({ number, aors, streamLabels }) => [
      number?.slice(-4) ?? aors[0],
      ...streamLabels,
    ]),
    codes: warnings.map(({ code }) => code),
  };
};

/** Changes a fixture's text before it is read. */
const changed = (name: string, from: string | RegExp, to: string) => {
  const text = metadataFixture(name).toString();
  const result = text.replace(from, to);
  expect(result).not.toBe(text);
  return readMetadata(Buffer.from(result));
};

describe('mapParticipants', () => {
  it('puts the recorded user of an origCall first, though the document lists the other first', () => {
    expect(heard(fixture('broadworks-dual-origcall'), DUAL)).toEqual({
      parties: [
        ['0101', '1'],
        ['0102', '2'],
      ],
      codes: [],
    });
  });

  it('finds the recorded user of a termCall in national form, and both in a single stream', () => {
    const metadata = fixture('broadworks-single-termcall-redirect');
    expect(heard({ ...metadata, participants: metadata.participants.toReversed() }, SINGLE)).toEqual({
      parties: [
        ['0101', '1'],
        ['0103', '1'],
      ],
      codes: [],
    });
  });

  it('finds the recorded user by user id when the number is an extension', () => {
    const metadata = fixture('broadworks-acd-termcall');
    expect(heard({ ...metadata, participants: metadata.participants.toReversed() }, DUAL).parties).toEqual([
      ['sip:agent7@example.com', '1'],
      ['0107', '2'],
    ]);
  });

  it('takes label 1 as the recorded user when nothing else tells', () => {
    const { broadWorks, ...metadata } = fixture('broadworks-dual-origcall');
    expect(heard({ ...metadata, broadWorks: {} }, DUAL).parties).toEqual([
      ['0101', '1'],
      ['0102', '2'],
    ]);
    expect(broadWorks).toBeDefined();
  });

  it('keeps the order of other dialects, and the times', () => {
    const { participants, warnings } = mapParticipants(
      fixture('rfc7865-two-streams'),
      withLabels('97', '96'),
    );
    expect(warnings).toEqual([]);
    expect(participants).toEqual([
      {
        id: 'AAAAAAAAQACAAAAAAAAAAw==',
        aors: ['sip:alice@example.com', 'tel:+1-202-555-0101'],
        names: ['Alice & Co'],
        number: '+12025550101',
        streamLabels: ['96'],
        joinedAt: '2026-03-02T09:15:01.000Z',
      },
      {
        id: 'AAAAAAAAQACAAAAAAAAABA==',
        aors: ['sip:+12025550102@example.net;user=phone'],
        names: ['Bertrand'],
        number: '+12025550102',
        streamLabels: ['97'],
        joinedAt: '2026-03-02T09:15:02.000Z',
        leftAt: '2026-03-02T09:16:00.000Z',
      },
    ]);
  });

  it('maps by position where the labels disagree', () => {
    expect(heard(fixture('broadworks-dual-origcall'), withLabels('5', '2'))).toEqual({
      parties: [
        ['0101', '5'],
        ['0102', '2'],
      ],
      codes: ['label-mismatch'],
    });
    expect(heard(fixture('broadworks-dual-origcall'), withLabels(undefined, undefined))).toEqual({
      parties: [
        ['0101', 'm0'],
        ['0102', 'm1'],
      ],
      codes: ['label-mismatch', 'label-mismatch'],
    });
  });

  it('leaves a participant whose stream was refused without one', () => {
    const { mLines } = readOffer(sdpFixture('broadworks-dual').replace('m=audio 21002', 'm=audio 0'));
    expect(heard(fixture('broadworks-dual-origcall'), mLines)).toEqual({
      parties: [['0101', '1'], ['0102']],
      codes: ['participant-without-stream'],
    });
  });

  it('leaves a participant whose stream is not in the SDP without one', () => {
    expect(heard(fixture('broadworks-dual-origcall'), SINGLE)).toEqual({
      parties: [['0101', '1'], ['0102']],
      codes: ['label-mismatch', 'participant-without-stream'],
    });
  });

  it('gives a participant whose stream id is unknown the stream that nobody claims', () => {
    const metadata = changed('broadworks-dual-origcall', /(<send>\s*<id>)[^<]+/, '$1urn:uuid:elsewhere');
    expect(heard(metadata, DUAL)).toEqual({
      parties: [
        ['0101', '1'],
        ['0102', '2'],
      ],
      codes: ['unknown-stream-id', 'participant-by-position'],
    });
  });

  it('gives everybody the single stream', () => {
    const metadata = changed(
      'broadworks-single-termcall-redirect',
      /(<send>\s*<id>)[^<]+/g,
      '$1urn:uuid:elsewhere',
    );
    expect(heard(metadata, SINGLE)).toEqual({
      parties: [
        ['0101', '1'],
        ['0103', '1'],
      ],
      codes: ['unknown-stream-id', 'unknown-stream-id'],
    });
  });

  it('maps by position, recorded user first, when the document says of nobody what they send', () => {
    const metadata = changed('broadworks-dual-origcall', /<send>[\s\S]*?<\/send>/g, '');
    expect(heard(metadata, DUAL)).toEqual({
      parties: [
        ['0101', '1'],
        ['0102', '2'],
      ],
      codes: ['participant-by-position', 'participant-by-position'],
    });
  });

  it('leaves a participant who sends nothing without a stream, and says who is missing', () => {
    const metadata = changed('broadworks-dual-origcall', /<send>[\s\S]*?<\/send>/, '');
    expect(heard(metadata, DUAL)).toEqual({
      parties: [['0101', '1'], ['0102']],
      codes: ['participant-without-stream', 'stream-without-participant'],
    });
  });

  it('lets several participants share a stream', () => {
    const metadata = fixture('broadworks-dual-origcall');
    const [other] = metadata.participants;
    if (!other) throw new Error('the fixture has participants');
    const third = { ...other, id: 'third', aors: ['2025550109'], number: '2025550109' };
    expect(heard({ ...metadata, participants: [...metadata.participants, third] }, DUAL)).toEqual({
      parties: [
        ['0101', '1'],
        ['0102', '2'],
        ['0109', '2'],
      ],
      codes: [],
    });
  });

  it('warns when the recorded user speaks in the stream of the others', () => {
    const metadata = changed(
      'broadworks-dual-origcall',
      '<callingPartyNumber>+12025550101',
      '<callingPartyNumber>+12025550102',
    );
    expect(heard(metadata, DUAL)).toEqual({
      parties: [
        ['0102', '2'],
        ['0101', '1'],
      ],
      codes: ['recorded-user-label-mismatch'],
    });
  });

  it('finds no fault with a partial document', () => {
    expect(
      mapParticipants({ ...fixture('broadworks-partial-party-left'), participants: [] }, DUAL).warnings,
    ).toEqual([]);
  });

  it('maps every participant of damaged metadata to streams of the SDP', () => {
    const seeds = ['broadworks-dual-origcall', 'rfc7865-two-streams'].map(metadataFixture);
    let count = 0;
    for (const input of mutations(seeds, 5)) {
      const metadata = readMetadata(input);
      const { participants } = mapParticipants(metadata, DUAL);
      expect(participants.map(({ id }) => id).sort()).toEqual(
        metadata.participants.map(({ id }) => id).sort(),
      );
      expect(
        participants.every(({ streamLabels }) => streamLabels.every((label) => ['1', '2'].includes(label))),
      ).toBe(true);
      count += 1;
      if (count === 2000) break;
    }
  });
});
