import { readBody } from '../../../recorder-image/src/sip/mime.ts';
import { findMetadata, readMetadata } from '../../../recorder-image/src/siprec/metadata.ts';
import { metadataFixture } from '../../fixtures/load.ts';
import { mutations } from '../../fixtures/mutate.ts';
import { metadataFixtureNames, metadataOf, rfc7865 } from './support.ts';

const read = (text: string) => readMetadata(Buffer.from(text));
const codes = (text: string) => read(text).warnings.map(({ code }) => code);

/** An id of the BroadWorks fixtures: the number of the document, and of the element in it. */
const uuid = (document: number, element: number) =>
  `urn:uuid:0${document}000000-0000-4000-8000-00000000000${element}`;

describe('readMetadata, BroadWorks', () => {
  it('reads dual mode and origCall', () => {
    expect(metadataOf('broadworks-dual-origcall')).toEqual({
      dialect: 'broadworks',
      dataMode: 'complete',
      recordingId: uuid(1, 1),
      groups: [{ id: uuid(1, 2) }],
      sessions: [
        { id: uuid(1, 3), groupId: uuid(1, 2), sipSessionIds: [], startedAt: '2026-03-02T09:15:00.250Z' },
      ],
      participants: [
        {
          id: uuid(1, 5),
          aors: ['sip:+12025550102@example.net;user=phone'],
          names: [],
          number: '+12025550102',
          sendsStreamIds: [uuid(1, 7)],
          joins: [],
          leaves: [],
        },
        {
          id: uuid(1, 4),
          aors: ['sip:+12025550101@example.com;user=phone'],
          names: [],
          number: '+12025550101',
          sendsStreamIds: [uuid(1, 6)],
          joins: [],
          leaves: [],
        },
      ],
      streams: [
        { id: uuid(1, 6), label: '1', mode: 'separate' },
        { id: uuid(1, 7), label: '2', mode: 'separate' },
      ],
      correlationIds: [],
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
    const metadata = metadataOf('broadworks-single-termcall-redirect');
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
      expect(metadataOf(name).broadWorks).toMatchObject({
        newExtTrackingId: '22222222-0000-4000-8000-000000000002',
        redirect: { redirectedFromPartyNumber: '+12025550102', redirectedToPartyNumber: '+12025550106' },
      });
    },
  );

  it('reads acd', () => {
    const metadata = metadataOf('broadworks-acd-termcall');
    expect(metadata.warnings).toEqual([]);
    expect(metadata.broadWorks?.acd).toEqual({
      userId: 'queue1@example.com',
      name: 'Example Support',
      number: '2025550108',
      countryCode: '1',
    });
    expect(metadata.participants[0]).not.toHaveProperty('number');
  });

  it('reads a partial update, in which a participant has stopped sending', () => {
    const metadata = metadataOf('broadworks-partial-party-left');
    expect(metadata).toMatchObject({ dialect: 'broadworks', dataMode: 'partial', streams: [], warnings: [] });
    expect(metadata.participants.map(({ sendsStreamIds }) => sendsStreamIds)).toEqual([
      [uuid(1, 6)],
      undefined,
    ]);
  });
});

describe('readMetadata, RFC 7865', () => {
  it('reads participants, their streams and times', () => {
    expect(metadataOf('rfc7865-two-streams')).toEqual({
      dialect: 'rfc7865',
      dataMode: 'complete',
      groups: [{ id: 'AAAAAAAAQACAAAAAAAAAAQ==' }],
      sessions: [
        {
          id: 'AAAAAAAAQACAAAAAAAAAAg==',
          groupId: 'AAAAAAAAQACAAAAAAAAAAQ==',
          sipSessionIds: [],
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
          joins: ['2026-03-02T09:15:01.000Z'],
          leaves: [],
        },
        {
          id: 'AAAAAAAAQACAAAAAAAAABA==',
          aors: ['sip:+12025550102@example.net;user=phone'],
          names: ['Bertrand'],
          number: '+12025550102',
          sendsStreamIds: ['AAAAAAAAQACAAAAAAAAABg=='],
          receivesStreamIds: ['AAAAAAAAQACAAAAAAAAABQ=='],
          joins: ['2026-03-02T09:15:02.000Z'],
          leaves: ['2026-03-02T09:16:00.000Z'],
        },
      ],
      streams: [
        { id: 'AAAAAAAAQACAAAAAAAAABQ==', label: '96' },
        { id: 'AAAAAAAAQACAAAAAAAAABg==', label: '97' },
      ],
      correlationIds: [],
      direction: 'unknown',
      warnings: [],
    });
  });

  it('reads every association of a participant who came back', () => {
    const assoc = (content: string) =>
      `<participantsessionassoc participant_id="p" session_id="s">${content}</participantsessionassoc>`;
    const { participants } = read(
      rfc7865(
        `<participant participant_id="p"/>${assoc(
          '<associate-time>2026-03-02T09:00:00Z</associate-time><disassociate-time>2026-03-02T09:01:00Z</disassociate-time>',
        )}${assoc('<associate-time>2026-03-02T09:02:00Z</associate-time>')}`,
      ),
    );
    expect(participants[0]).toMatchObject({
      joins: ['2026-03-02T09:00:00.000Z', '2026-03-02T09:02:00.000Z'],
      leaves: ['2026-03-02T09:01:00.000Z'],
    });
  });

  it('tells silence from what is not said', () => {
    const { participants } = read(
      rfc7865(
        '<participant participant_id="a"/><participant participant_id="b"/><participantstreamassoc participant_id="b"/>',
      ),
    );
    expect(participants.map(({ sendsStreamIds }) => sendsStreamIds)).toEqual([undefined, []]);
  });

  it('reads the Session-IDs of the recorded dialogs', () => {
    expect(metadataOf('rfc7865-cisco-cube').sessions[0]?.sipSessionIds).toEqual([
      '0000000000000000000000000000aa01;remote=0000000000000000000000000000bb02',
    ]);
  });

  it.each(['dataMode', 'datamode', 'DataMode'])('reads %s', (name) => {
    expect(read(`<recording><${name}>Partial</${name}></recording>`).dataMode).toBe('partial');
  });
});

describe('readMetadata, other dialects', () => {
  /** Numbers, and labels of the streams that they send. */
  const voices = (name: string) => {
    const { participants, streams } = metadataOf(name);
    return participants.map(({ number, sendsStreamIds }) => [
      number,
      ...(sendsStreamIds ?? []).map((id) => streams.find((stream) => stream.id === id)?.label),
    ]);
  };

  it.each([
    ['draft-oracle', 'draft', '167772161', '167772162'],
    ['draft-ribbon', 'draft', '1', '2'],
    ['draft-audiocodes', 'draft', '1', '2'],
    ['draft-metaswitch', 'draft', '1', '1'],
    ['rfc7865-opensips', 'rfc7865', '1', '2'],
  ])('reads %s without a warning', (name, dialect, ...labels) => {
    expect(metadataOf(name)).toMatchObject({ dialect, dataMode: 'complete', warnings: [] });
    expect(voices(name)).toEqual([
      ['2025550101', labels[0]],
      ['2025550102', labels[1]],
    ]);
  });

  it('reads Webex Calling as BroadWorks', () => {
    expect(metadataOf('webex-dual-termcall')).toMatchObject({
      dialect: 'broadworks',
      direction: 'incoming',
      broadWorks: { version: '4.0', extTrackingId: '55555555-0000-4000-8000-000000000005' },
      warnings: [],
    });
    expect(voices('webex-dual-termcall')).toEqual([
      ['+12025550101', '1'],
      ['+12025550103', '2'],
    ]);
  });

  it.each(['draft-oracle', 'draft-audiocodes'])('reads the UCID of Avaya in one form: %s', (name) => {
    expect(metadataOf(name).correlationIds[0]).toBe('FA080001000269A5563C');
  });

  it('reads group and sequence of NetSapiens', () => {
    expect(metadataOf('rfc7865-netsapiens-second')).toMatchObject({
      correlationIds: ['20260302091500-example'],
      groupSequence: 2,
      warnings: [],
    });
  });

  it.each(['draft-oracle', 'rfc7865-opensips'])('reads times without zone, or with +0000: %s', (name) => {
    expect(metadataOf(name).sessions[0]?.startedAt).toBe('2026-03-02T09:15:00.000Z');
    expect(metadataOf(name).participants[0]?.joins).toEqual(['2026-03-02T09:15:00.000Z']);
  });

  it('gives an association with the id of a stream to the participant without one (Cisco CUBE)', () => {
    expect(voices('rfc7865-cisco-cube')).toEqual([
      ['2025550101', '1'],
      ['2025550102', '2'],
    ]);
    expect(metadataOf('rfc7865-cisco-cube').warnings.map(({ code }) => code)).toEqual([
      'association-to-stream',
    ]);
  });

  it('ignores such an association when it could be of several', () => {
    const { participants, warnings } = read(
      rfc7865(
        '<participant participant_id="a"/><participant participant_id="b"/><stream stream_id="s"/>' +
          '<participantstreamassoc participant_id="s"><send>s</send></participantstreamassoc>',
      ),
    );
    expect(participants.map(({ id, sendsStreamIds }) => [id, sendsStreamIds])).toEqual([
      ['a', undefined],
      ['b', undefined],
    ]);
    expect(warnings).toEqual([{ code: 'association-to-stream', detail: 'association of stream s, ignored' }]);
  });

  it('leaves out the placeholder of Avaya SBCE, and reads streams without ids', () => {
    const first = metadataOf('rfc7865-avaya-placeholder');
    expect(first.participants).toEqual([]);
    expect(first.warnings.map(({ code }) => code)).toEqual([
      'element-without-id',
      'element-without-id',
      'placeholder-participant',
    ]);
    const second = metadataOf('rfc7865-avaya-parties');
    expect(second.streams.map(({ label }) => label)).toEqual(['1', '2']);
    expect(second.participants.map(({ sendsStreamIds }) => sendsStreamIds)).toEqual([undefined, undefined]);
  });

  it('keeps a recordingType that is not on, with a warning', () => {
    const { broadWorks, warnings } = metadataOf('broadworks-on-demand');
    expect(broadWorks?.recordingType).toBe('onDemand');
    expect(warnings).toEqual([{ code: 'recording-type-not-on', detail: 'onDemand' }]);
  });
});

describe('readMetadata, character sets', () => {
  const name = (text: string) =>
    rfc7865(`<participant participant_id="p"><nameID aor="a"><name>${text}</name></nameID></participant>`);
  const nameIn = (xml: Buffer, charset?: string) => {
    const { participants, warnings } = readMetadata(xml, charset);
    return [participants[0]?.names[0], ...warnings.map(({ code }) => code)];
  };

  it.each([
    ['UTF-8 without being told', Buffer.from(name('Zoë')), undefined],
    ['the charset parameter', Buffer.from(name('Zoë'), 'latin1'), 'ISO-8859-1'],
    [
      'the XML declaration',
      Buffer.from(`<?xml version="1.0" encoding='iso-8859-1'?>${name('Zoë')}`, 'latin1'),
      undefined,
    ],
    [
      'the parameter rather than the declaration',
      Buffer.from(`<?xml version="1.0" encoding="iso-8859-1"?>${name('Zoë')}`),
      'utf-8',
    ],
    [
      'UTF-8 where the declaration cannot be true',
      Buffer.from(`<?xml version="1.0" encoding="UTF-16"?>${name('Zoë')}`),
      undefined,
    ],
    ['UTF-16 by its mark', Buffer.from(`\ufeff${name('Zoë')}`, 'utf16le'), undefined],
    ['the mark rather than the parameter', Buffer.from(`\ufeff${name('Zoë')}`), 'iso-8859-1'],
  ])('reads %s', (_, xml, charset) => {
    expect(nameIn(xml, charset)).toEqual(['Zoë']);
  });

  it('reads UTF-8 when the charset is unknown', () => {
    expect(nameIn(Buffer.from(name('Zoë')), 'x-none')).toEqual(['Zoë', 'unknown-charset']);
  });

  it('replaces what is no text', () => {
    expect(nameIn(Buffer.from(name('Zoë'), 'latin1'))).toEqual(['Zo\ufffd', 'undecodable-text']);
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
      correlationIds: [],
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

  it('warns about a document that is cut', () => {
    const whole = metadataFixture('broadworks-dual-origcall');
    const { participants, warnings } = readMetadata(whole.subarray(0, whole.indexOf('<stream')));
    expect(participants).toHaveLength(2);
    expect(warnings.map(({ code }) => code)).toEqual(['metadata-cut', 'metadata-not-well-formed']);
  });

  it('warns about an unknown data mode', () => {
    expect(codes(rfc7865('', 'total'))).toEqual(['unknown-data-mode']);
  });

  it('expects nothing defined in a partial document', () => {
    expect(codes(rfc7865('<participantstreamassoc participant_id="p"/>', 'partial'))).toEqual([]);
  });

  it('ignores the second of two elements with one id', () => {
    const { participants } = read(
      rfc7865(
        '<participant participant_id="p"><nameID aor="a"/></participant><participant participant_id="p"><nameID aor="b"/></participant>',
      ),
    );
    expect(participants.map(({ aors }) => aors)).toEqual([['a']]);
  });

  it('never throws, whatever the damage', () => {
    let readable = 0;
    let count = 0;
    for (const input of mutations(metadataFixtureNames().map(metadataFixture), 4)) {
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
