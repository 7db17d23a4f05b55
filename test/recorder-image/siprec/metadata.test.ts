import { readBody } from '../../../recorder-image/src/sip/mime.ts';
import { findMetadata, readMetadata } from '../../../recorder-image/src/siprec/metadata.ts';
import { metadataFixture } from '../../fixtures/load.ts';
import { mutations } from '../../fixtures/mutate.ts';

const FIXTURES = [
  'broadworks-dual-origcall',
  'broadworks-single-termcall-redirect',
  'broadworks-redirected-call',
  'broadworks-acd-termcall',
  'broadworks-partial-party-left',
  'rfc7865-two-streams',
];

const fixture = (name: string) => readMetadata(metadataFixture(name));
const read = (text: string) => readMetadata(Buffer.from(text));
const codes = (text: string) => read(text).warnings.map(({ code }) => code);

/** An id of the BroadWorks fixtures: the number of the document, and of the element in it. */
const uuid = (document: number, element: number) =>
  `urn:uuid:0${document}000000-0000-4000-8000-00000000000${element}`;

/** An RFC 7865 document around some elements. */
const rfc7865 = (content: string, mode = 'complete') =>
  `<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>${mode}</datamode>${content}</recording>`;

describe('readMetadata, BroadWorks', () => {
  it('reads dual mode and origCall', () => {
    expect(fixture('broadworks-dual-origcall')).toEqual({
      dialect: 'broadworks',
      dataMode: 'complete',
      recordingId: uuid(1, 1),
      groups: [{ id: uuid(1, 2) }],
      sessions: [{ id: uuid(1, 3), groupId: uuid(1, 2), startedAt: '2026-03-02T09:15:00.250Z' }],
      participants: [
        {
          id: uuid(1, 5),
          aors: ['sip:+12025550102@example.net;user=phone'],
          names: [],
          number: '+12025550102',
          sendsStreamIds: [uuid(1, 7)],
          receivesStreamIds: [],
        },
        {
          id: uuid(1, 4),
          aors: ['sip:+12025550101@example.com;user=phone'],
          names: [],
          number: '+12025550101',
          sendsStreamIds: [uuid(1, 6)],
          receivesStreamIds: [],
        },
      ],
      streams: [
        { id: uuid(1, 6), label: '1', mode: 'separate' },
        { id: uuid(1, 7), label: '2', mode: 'separate' },
      ],
      broadWorks: {
        version: '3.0',
        extTrackingId: '11111111-0000-4000-8000-000000000001',
        serviceProviderId: 'ExampleProvider',
        groupId: 'ExampleGroup',
        userId: 'alice@example.com',
        callId: 'callhalf-4711:0',
        recordingType: 'on',
        callingPartyNumber: '+12025550101',
        calledPartyNumber: '+12025550102',
        dialedDigits: '5550102',
      },
      direction: 'outgoing',
      warnings: [],
    });
  });

  it('reads single mode, termCall and redirectInfo', () => {
    const metadata = fixture('broadworks-single-termcall-redirect');
    expect(metadata.warnings).toEqual([]);
    expect(metadata.direction).toBe('incoming');
    expect(metadata.streams).toEqual([{ id: uuid(2, 6), label: '1', mode: 'mixed' }]);
    expect(metadata.participants.map(({ sendsStreamIds }) => sendsStreamIds)).toEqual([
      [uuid(2, 6)],
      [uuid(2, 6)],
    ]);
    expect(metadata.broadWorks).toMatchObject({
      version: '1.0',
      callingPartyNumber: '+12025550103',
      calledPartyNumber: '+12025550101',
      redirect: {
        lastRedirectNumber: '+12025550104',
        origCalledNumber: '+12025550105',
        numOfRedirections: '2',
      },
    });
  });

  it.each(['broadworks-redirected-call', 'broadworks-partial-party-left'])(
    'reads redirectedCall, with either spelling of the number: %s',
    (name) => {
      expect(fixture(name).broadWorks).toMatchObject({
        newExtTrackingId: '22222222-0000-4000-8000-000000000002',
        redirect: { redirectedFromPartyNumber: '+12025550102', redirectedToPartyNumber: '+12025550106' },
      });
    },
  );

  it('reads acd', () => {
    const metadata = fixture('broadworks-acd-termcall');
    expect(metadata.warnings).toEqual([]);
    expect(metadata.broadWorks?.acd).toEqual({
      userId: 'queue1@example.com',
      name: 'Example Support',
      number: '2025550108',
    });
    expect(metadata.participants[0]).not.toHaveProperty('number');
  });

  it('reads a partial update, in which a participant has stopped sending', () => {
    const metadata = fixture('broadworks-partial-party-left');
    expect(metadata).toMatchObject({ dialect: 'broadworks', dataMode: 'partial', streams: [], warnings: [] });
    expect(metadata.participants.map(({ sendsStreamIds }) => sendsStreamIds)).toEqual([[uuid(1, 6)], []]);
  });
});

describe('readMetadata, RFC 7865', () => {
  it('reads participants, their streams and times', () => {
    expect(fixture('rfc7865-two-streams')).toEqual({
      dialect: 'rfc7865',
      dataMode: 'complete',
      groups: [{ id: 'AAAAAAAAQACAAAAAAAAAAQ==' }],
      sessions: [
        {
          id: 'AAAAAAAAQACAAAAAAAAAAg==',
          groupId: 'AAAAAAAAQACAAAAAAAAAAQ==',
          startedAt: '2026-03-02T09:15:01.000Z',
        },
      ],
      participants: [
        {
          id: 'AAAAAAAAQACAAAAAAAAAAw==',
          aors: ['sip:alice@example.com', 'tel:+1-202-555-0101'],
          names: ['Alice & Co'],
          number: '+12025550101',
          sendsStreamIds: ['AAAAAAAAQACAAAAAAAAABQ=='],
          receivesStreamIds: ['AAAAAAAAQACAAAAAAAAABg=='],
          joinedAt: '2026-03-02T09:15:01.000Z',
        },
        {
          id: 'AAAAAAAAQACAAAAAAAAABA==',
          aors: ['sip:+12025550102@example.net;user=phone'],
          names: ['Bertrand'],
          number: '+12025550102',
          sendsStreamIds: ['AAAAAAAAQACAAAAAAAAABg=='],
          receivesStreamIds: ['AAAAAAAAQACAAAAAAAAABQ=='],
          joinedAt: '2026-03-02T09:15:02.000Z',
          leftAt: '2026-03-02T09:16:00.000Z',
        },
      ],
      streams: [
        { id: 'AAAAAAAAQACAAAAAAAAABQ==', label: '96' },
        { id: 'AAAAAAAAQACAAAAAAAAABg==', label: '97' },
      ],
      direction: 'unknown',
      warnings: [],
    });
  });

  it('counts a participant who came back as present', () => {
    const assoc = (content: string) =>
      `<participantsessionassoc participant_id="p" session_id="s">${content}</participantsessionassoc>`;
    const { participants } = read(
      rfc7865(
        `<participant participant_id="p"/>${assoc(
          '<associate-time>2026-03-02T09:00:00Z</associate-time><disassociate-time>2026-03-02T09:01:00Z</disassociate-time>',
        )}${assoc('<associate-time>2026-03-02T09:02:00Z</associate-time>')}`,
      ),
    );
    expect(participants[0]).toMatchObject({ joinedAt: '2026-03-02T09:00:00.000Z' });
    expect(participants[0]).not.toHaveProperty('leftAt');
  });

  it.each(['dataMode', 'datamode', 'DataMode'])('reads %s', (name) => {
    expect(read(`<recording><${name}>Partial</${name}></recording>`).dataMode).toBe('partial');
  });
});

describe('readMetadata, irregular documents', () => {
  it('reads what looks familiar of an unknown dialect', () => {
    const metadata = read(
      '<x:recording xmlns:x="urn:example:other"><x:participant id="p"><x:aor>2025550101</x:aor></x:participant></x:recording>',
    );
    expect(metadata).toMatchObject({ dialect: 'unknown', dataMode: 'complete' });
    expect(metadata.participants).toMatchObject([{ id: 'p', aors: ['2025550101'], number: '2025550101' }]);
    expect(metadata.warnings).toEqual([
      { code: 'unknown-dialect', detail: 'root recording, namespace urn:example:other' },
    ]);
  });

  it('gives an empty model for what is no XML', () => {
    expect(read('not xml')).toEqual({
      dialect: 'unknown',
      dataMode: 'complete',
      groups: [],
      sessions: [],
      participants: [],
      streams: [],
      direction: 'unknown',
      warnings: [{ code: 'metadata-unreadable', detail: 'no XML element in it' }],
    });
  });

  it('lists unknown elements, each once', () => {
    expect(
      read(rfc7865('<vendor><inner/></vendor><stream stream_id="s"><Extra/><extra/></stream>')).warnings,
    ).toEqual([{ code: 'unknown-elements', detail: 'extra, vendor' }]);
  });

  it.each([
    ['<stream/>', 'element-without-id'],
    ['<stream stream_id="a"/><stream stream_id="a"/>', 'duplicate-id'],
    ['<stream stream_id="a"/><session session_id="a"/>', 'duplicate-id'],
    ['<participantstreamassoc participant_id="p"/>', 'unknown-participant-id'],
    ['<stream stream_id="a"><mode>stereo</mode></stream>', 'unknown-stream-mode'],
    ['<session session_id="a"><start-time>noon</start-time></session>', 'unreadable-time'],
  ])('warns about %s', (content, code) => {
    expect(codes(rfc7865(content))).toEqual([code]);
  });

  it('warns about an unknown data mode', () => {
    expect(codes(rfc7865('', 'total'))).toEqual(['unknown-data-mode']);
  });

  it('expects nothing defined in a partial document', () => {
    expect(codes(rfc7865('<participantstreamassoc participant_id="p"/>', 'partial'))).toEqual([]);
  });

  it('joins what two elements with one id say', () => {
    const { participants } = read(
      rfc7865(
        '<participant participant_id="p"><nameID aor="a"/></participant><participant participant_id="p"><nameID aor="b"/></participant>',
      ),
    );
    expect(participants.map(({ aors }) => aors)).toEqual([['a', 'b']]);
  });

  it('never throws, whatever the damage', () => {
    let readable = 0;
    let count = 0;
    for (const input of mutations(FIXTURES.map(metadataFixture), 4)) {
      if (readMetadata(input).participants.length > 0) readable += 1;
      count += 1;
      if (count === 5000) break;
    }
    expect(readable).toBeGreaterThan(1000);
  });
});

describe('findMetadata', () => {
  const bodyOf = (contentType: string, disposition = '') =>
    readBody(`INFO sip:a SIP/2.0\r\nContent-Type: ${contentType}\r\n${disposition}\r\n<x/>`).parts;

  it.each(['application/rs-metadata+xml', 'application/rs-metadata;charset=utf-8'])(
    'by the type %s',
    (type) => {
      expect(findMetadata(bodyOf(type))?.content.toString()).toBe('<x/>');
    },
  );

  it('by the disposition', () => {
    expect(findMetadata(bodyOf('text/xml', 'Content-Disposition: recording-session\r\n'))).toBeDefined();
    expect(findMetadata(bodyOf('text/xml'))).toBeUndefined();
  });
});
