import { z } from 'zod';
import {
  carriedSchema,
  holdSchema,
  participantSchema,
  transferSchema,
  warningSchema,
} from '../../../core/manifest.ts';
import { readOffer } from '../../../recorder-image/src/sdp/offer.ts';
import { participantsFromHeaders } from '../../../recorder-image/src/siprec/headers.ts';
import { readMetadata } from '../../../recorder-image/src/siprec/metadata.ts';
import type { RecordingMetadata } from '../../../recorder-image/src/siprec/model.ts';
import { type SessionMessage, type Story, tellStory } from '../../../recorder-image/src/siprec/timeline.ts';
import { metadataFixture, sdpFixture } from '../../fixtures/load.ts';
import { mutations, seededRandom } from '../../fixtures/mutate.ts';
import { metadataFixtureNames, metadataOf, offered, rfc7865 } from './support.ts';

/** Minutes after nine. */
const at = (minute: number) => `2026-03-02T09:${String(minute).padStart(2, '0')}:00.000Z`;
const minute = (time: string | undefined) => (time === undefined ? undefined : Number(time.slice(14, 16)));

const { mLines: DUAL } = readOffer(sdpFixture('broadworks-dual'));
const { mLines: SINGLE } = readOffer(sdpFixture('broadworks-single'));
const HELD = offered(
  { label: '1', direction: 'inactive', address: '0.0.0.0' },
  { label: '2', direction: 'inactive', address: '0.0.0.0' },
);

/** Offers and documents (a fixture, or the metadata itself), minutes apart, from 20 past. */
const story = (...messages: { mLines?: SessionMessage['mLines']; metadata?: string | RecordingMetadata }[]) =>
  tellStory(
    messages.map(({ mLines, metadata }, i) => ({
      at: at(20 + i),
      ...(mLines && { mLines }),
      ...(metadata && { metadata: typeof metadata === 'string' ? metadataOf(metadata) : metadata }),
    })),
  );

/** Last digits of everybody's number, and the minutes of their stays. */
const stays = ({ participants }: Story) =>
  participants.map(({ number, aors, stays = [] }) => [
    number?.slice(-4) ?? aors[0],
    ...stays.map(({ joinedAt, leftAt }) => [minute(joinedAt), minute(leftAt)]),
  ]);

/** By stream: whom it carried, and the minutes. */
const carried = ({ participants, streams }: Story) =>
  streams.map(({ label, carried: voices }) => [
    label,
    ...voices.map(({ participantId, startedAt, endedAt }) => [
      participants.find(({ id }) => id === participantId)?.number?.slice(-4),
      minute(startedAt),
      minute(endedAt),
    ]),
  ]);

const codes = ({ warnings }: Story) => warnings.map(({ code }) => code);

describe('tellStory', () => {
  it('tells a plain call', () => {
    expect(story({ mLines: DUAL, metadata: 'broadworks-dual-origcall' })).toEqual({
      participants: [
        {
          id: 'urn:uuid:01000000-0000-4000-8000-000000000004',
          aors: ['sip:+12025550101@example.com;user=phone'],
          names: [],
          number: '+12025550101',
          streamLabels: ['1'],
          joinedAt: at(20),
          stays: [{ joinedAt: at(20) }],
        },
        {
          id: 'urn:uuid:01000000-0000-4000-8000-000000000005',
          aors: ['sip:+12025550102@example.net;user=phone'],
          names: [],
          number: '+12025550102',
          streamLabels: ['2'],
          joinedAt: at(20),
          stays: [{ joinedAt: at(20) }],
        },
      ],
      streams: [
        {
          mLine: 0,
          label: '1',
          openedAt: at(20),
          holds: [],
          carried: [{ participantId: 'urn:uuid:01000000-0000-4000-8000-000000000004', startedAt: at(20) }],
        },
        {
          mLine: 1,
          label: '2',
          openedAt: at(20),
          holds: [],
          carried: [{ participantId: 'urn:uuid:01000000-0000-4000-8000-000000000005', startedAt: at(20) }],
        },
      ],
      holds: [],
      transfers: [],
      warnings: [],
    });
  });

  it('tells hold and resume by SDP alone: everybody stays', () => {
    const told = story(
      { mLines: DUAL, metadata: 'broadworks-dual-origcall' },
      { mLines: HELD },
      { mLines: DUAL },
    );
    expect(stays(told)).toEqual([
      ['0101', [20, undefined]],
      ['0102', [20, undefined]],
    ]);
    expect(carried(told)).toEqual([
      ['1', ['0101', 20, undefined]],
      ['2', ['0102', 20, undefined]],
    ]);
    expect(told.holds).toEqual(
      ['1', '2'].map((streamLabel) => ({
        streamLabel,
        startedAt: at(21),
        endedAt: at(22),
        cause: 'inactive',
      })),
    );
    expect(told.warnings).toEqual([]);
  });

  it('tells a redirection with all-new ids: the recorded user stays who it is', () => {
    const told = story(
      { mLines: DUAL, metadata: 'webex-dual-termcall' },
      { mLines: HELD },
      { mLines: DUAL, metadata: 'webex-redirected' },
    );
    expect(stays(told)).toEqual([
      ['0101', [20, undefined]],
      ['0103', [20, 22]],
      ['0104', [22, undefined]],
    ]);
    expect(carried(told)).toEqual([
      ['1', ['0101', 20, undefined]],
      ['2', ['0103', 20, 22], ['0104', 22, undefined]],
    ]);
    expect(told.transfers).toEqual([
      {
        at: at(22),
        from: '+12025550103',
        to: '+12025550104',
        newExtTrackingId: '66666666-0000-4000-8000-000000000006',
      },
    ]);
    expect(codes(told)).toEqual([]);
  });

  it('tells a transfer once, though later documents repeat it', () => {
    const told = story(
      { mLines: DUAL, metadata: 'broadworks-dual-origcall' },
      { metadata: 'broadworks-partial-party-left' },
      { mLines: DUAL, metadata: 'broadworks-redirected-call' },
    );
    expect(told.transfers).toHaveLength(1);
    expect(told.transfers[0]).toMatchObject({ at: at(21), from: '+12025550102', to: '+12025550106' });
    expect(stays(told)).toEqual([
      ['0101', [20, undefined]],
      ['0102', [20, 21]],
      ['0106', [22, undefined]],
    ]);
    expect(codes(told)).toEqual([]);
  });

  it('tells a transfer by all-new ids and another party alone', () => {
    const told = story(
      { mLines: DUAL, metadata: 'broadworks-dual-origcall' },
      { mLines: DUAL, metadata: 'broadworks-renewed-ids' },
    );
    expect(told.transfers).toEqual([{ at: at(21), from: '+12025550102', to: '+12025550109' }]);
  });

  it('tells no transfer where ids are renewed for the same people', () => {
    const told = story(
      { mLines: DUAL, metadata: 'broadworks-dual-origcall' },
      { mLines: DUAL, metadata: 'broadworks-dual-termcall' },
    );
    expect(told.transfers).toEqual([]);
    expect(told.participants).toHaveLength(2);
  });

  it('tells a conference: a third party joins by UPDATE, shares a stream, and leaves', () => {
    const told = story(
      { mLines: DUAL, metadata: 'broadworks-dual-origcall' },
      { metadata: 'broadworks-conference' },
      { metadata: 'broadworks-conference' },
      { metadata: 'broadworks-dual-origcall' },
      { metadata: 'broadworks-conference' },
    );
    expect(stays(told)).toEqual([
      ['0101', [20, undefined]],
      ['0102', [20, undefined]],
      ['0109', [21, 23], [24, undefined]],
    ]);
    expect(carried(told)[1]).toEqual([
      '2',
      ['0102', 20, undefined],
      ['0109', 21, 23],
      ['0109', 24, undefined],
    ]);
    expect(told.transfers).toEqual([]);
    expect(told.participants[2]).toMatchObject({ joinedAt: at(21), streamLabels: ['2'] });
    expect(told.participants[2]).not.toHaveProperty('leftAt');
  });

  it('tells the stays that RFC 7865 gives with its own times, and who fell silent when', () => {
    const told = story(
      { mLines: offered({ label: '96' }, { label: '97' }), metadata: 'rfc7865-two-streams' },
      { metadata: 'rfc7865-partial-joined' },
      { metadata: 'rfc7865-partial-returned' },
      { metadata: 'rfc7865-partial-hold' },
    );
    expect(stays(told)).toEqual([
      ['0101', [15, undefined]],
      ['0102', [15, 16], [18, undefined]],
      ['0103', [17, undefined]],
    ]);
    expect(carried(told)).toEqual([
      ['96', ['0101', 20, 23]],
      ['97', ['0103', 21, undefined], ['0102', 22, 23]],
    ]);
    expect(codes(told)).toEqual([]);
  });

  it('gives a single stream to everybody', () => {
    expect(carried(story({ mLines: SINGLE, metadata: 'broadworks-single-termcall-redirect' }))).toEqual([
      ['1', ['0101', 20, undefined], ['0103', 20, undefined]],
    ]);
  });

  it('names streams as they were opened, though later offers and documents label them otherwise', () => {
    const relabelled = metadataFixture('webex-redirected')
      .toString()
      .replace('<label>1', '<label>3')
      .replace('<label>2', '<label>4');
    const told = story(
      { mLines: DUAL, metadata: 'webex-dual-termcall' },
      { mLines: offered({ label: '3' }, { label: '4' }), metadata: readMetadata(Buffer.from(relabelled)) },
    );
    expect(carried(told)).toEqual([
      ['1', ['0101', 20, undefined]],
      ['2', ['0103', 20, 21], ['0104', 21, undefined]],
    ]);
  });

  it('ends what a removed stream carried', () => {
    const told = story(
      { mLines: DUAL, metadata: 'broadworks-dual-origcall' },
      { mLines: offered({ label: '1' }, { label: '2', port: 0 }) },
      { mLines: DUAL },
    );
    expect(carried(told)).toEqual([
      ['1', ['0101', 20, undefined]],
      ['2', ['0102', 20, 21]],
      ['2', ['0102', 22, undefined]],
    ]);
    expect(told.holds).toEqual([{ streamLabel: '2', startedAt: at(21), endedAt: at(22), cause: 'removed' }]);
  });

  it('replaces parties from headers by those of metadata, and the placeholder by the real ones', () => {
    const guess = participantsFromHeaders({ from: '<sip:2025550199@example.com>', to: '<sip:192.0.2.10>' });
    expect(stays(story({ mLines: DUAL, metadata: guess }))).toEqual([['0199', [20, undefined]]]);
    const told = story(
      { mLines: DUAL, metadata: guess },
      { metadata: 'rfc7865-avaya-placeholder' },
      { metadata: 'rfc7865-avaya-parties' },
    );
    expect(stays(told)).toEqual([
      ['0101', [22, undefined]],
      ['0102', [22, undefined]],
    ]);
    expect(carried(told)).toEqual([
      ['1', ['0101', 22, undefined]],
      ['2', ['0102', 22, undefined]],
    ]);
    expect(told.transfers).toEqual([]);
  });

  it('tells two people apart who share an address, or an id', () => {
    const party = (id: string, aor: string) =>
      `<participant participant_id="${id}"><nameID aor="${aor}"/></participant>`;
    const document = (...parties: string[]) => readMetadata(Buffer.from(rfc7865(parties.join(''))));
    const anonymous = 'sip:anonymous@anonymous.invalid';
    expect(
      story(
        { mLines: DUAL, metadata: document(party('a', anonymous), party('b', anonymous)) },
        { metadata: document(party('b', anonymous)) },
      ).participants.map(({ id, leftAt }) => [id, minute(leftAt)]),
    ).toEqual([
      ['a', 21],
      ['b', undefined],
    ]);
    expect(
      story(
        { mLines: DUAL, metadata: document(party('a', 'sip:2025550101@example.com')) },
        { metadata: document(party('a', 'sip:2025550102@example.com')) },
      ).participants.map(({ id, leftAt }) => [id, minute(leftAt)]),
    ).toEqual([
      ['a', 21],
      ['a-2', undefined],
    ]);
  });

  it('lets nobody leave before joining, whatever the clock of the SRC says', () => {
    const later = readMetadata(
      Buffer.from(
        rfc7865(
          `<participant participant_id="a"/><participantsessionassoc participant_id="a"><associate-time>${at(50)}</associate-time></participantsessionassoc>`,
        ),
      ),
    );
    const nobody = readMetadata(Buffer.from(rfc7865('<participant participant_id="b"/>')));
    expect(story({ mLines: SINGLE, metadata: later }, { metadata: nobody }).participants[0]?.stays).toEqual([
      { joinedAt: at(50), leftAt: at(50) },
    ]);
  });

  it('gives each warning once, with its time, and none for an offer alone', () => {
    const told = story(
      { mLines: offered({ label: '5' }, { label: '2' }), metadata: 'broadworks-dual-origcall' },
      { mLines: offered({ label: '6' }, { label: '2' }) },
      { metadata: 'broadworks-dual-origcall' },
    );
    expect(told.warnings.map(({ code, at: time }) => [code, minute(time)])).toEqual([
      ['label-mismatch', 20],
      ['label-mismatch', 22],
    ]);
  });

  it('keeps its limits, whatever is sent', () => {
    const crowd = (update: number) =>
      readMetadata(
        Buffer.from(
          rfc7865(
            Array.from(
              { length: 400 },
              (_, i) => `<participant participant_id="${update}-${i}"><x/></participant>`,
            ).join(''),
          ),
        ),
      );
    const told = story(...[0, 1, 2, 3].map((update) => ({ mLines: DUAL, metadata: crowd(update) })));
    expect(told.participants).toHaveLength(500);
    expect(codes(told).filter((code) => code === 'participant-without-stream')).toHaveLength(20);
    expect(codes(told)).toContain('too-many-people');
  });

  it('tells a story that fits the manifest, whatever is sent', () => {
    const schema = z.object({
      participants: z.array(participantSchema),
      streams: z.array(z.object({ carried: z.array(carriedSchema) })),
      holds: z.array(holdSchema),
      transfers: z.array(transferSchema),
      warnings: z.array(warningSchema),
    });
    const inputs = mutations(metadataFixtureNames().map(metadataFixture), 7);
    const random = seededRandom(8);
    const offers = [DUAL, SINGLE, HELD, offered({ label: '1', port: 0 }), undefined];
    for (let session = 0; session < 200; session += 1) {
      const told = tellStory(
        Array.from({ length: 8 }, (_, i) => ({
          at: at(20 + i),
          mLines: i === 0 ? DUAL : offers[Math.floor(random() * offers.length)],
          metadata: readMetadata(inputs.next().value as Buffer),
        })),
      );
      schema.parse(told);
      const ids = told.participants.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { stays: intervals = [] } of told.participants)
        expect(intervals.every(({ joinedAt, leftAt = joinedAt }) => joinedAt <= leftAt)).toBe(true);
      for (const { carried: voices } of told.streams)
        for (const { participantId, startedAt, endedAt = startedAt } of voices) {
          expect(ids).toContain(participantId);
          expect(startedAt <= endedAt).toBe(true);
        }
    }
  });
});
