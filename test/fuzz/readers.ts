/** The readers of outside data, each with what it starts from and the one error that it may throw. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SipParseError } from '../../local/sip/errors.ts';
import {
  header,
  headerValues,
  parseFragment,
  parseMessage,
  type SipMessage,
  serialise,
} from '../../local/sip/message.ts';
import { streamReader } from '../../local/sip/stream.ts';
import { parseNameAddr, parseUri } from '../../local/sip/values.ts';
import { JournalReader, JournalWriter } from '../../recorder-image/src/media/journal.ts';
import { readRtcp } from '../../recorder-image/src/media/rtcp.ts';
import {
  isRtcp,
  isRtp,
  payloadEnd,
  payloadStart,
  payloadType,
  sequence,
  ssrc,
  timestamp,
} from '../../recorder-image/src/media/rtp.ts';
import { writeAnswer } from '../../recorder-image/src/sdp/answer.ts';
import { readOffer, SdpError, streamLabels } from '../../recorder-image/src/sdp/offer.ts';
import { readBody } from '../../recorder-image/src/sip/mime.ts';
import { findMetadata, readMetadata } from '../../recorder-image/src/siprec/metadata.ts';
import { mapParticipants } from '../../recorder-image/src/siprec/parties.ts';
import { TORTURE_MESSAGES } from '../local/sip-server/torture-messages.ts';
import type { Corpus } from './mutations.ts';

export const READER_NAMES = ['mime', 'sdp', 'metadata', 'rtp', 'sip', 'journal'] as const;
export type ReaderName = (typeof READER_NAMES)[number];

export interface Reader {
  corpus: Corpus;
  /** Reads, and uses what was read as the code behind it does. */
  read(input: Buffer): void;
  /** The one error that bad input may cause; undefined if there is none. */
  refusal?: new (
    ...args: never[]
  ) => Error;
  /** Removes what `read` left behind. */
  close(): void;
}

const FIXTURES = join(import.meta.dirname, '../fixtures');

/** All files of a folder, with the line ends of the wire. */
const fixtures = (folder: string): Buffer[] =>
  readdirSync(join(FIXTURES, folder))
    .sort()
    .map((name) => readFileSync(join(FIXTURES, folder, name), 'utf8'))
    .map((text) => Buffer.from(text.replaceAll(/\r?\n/g, '\r\n')));

const pieces = (...texts: string[]): Buffer[] => texts.map((text) => Buffer.from(text));

const nothingToClose = (): void => undefined;

// ---- messages ----------------------------------------------------------------------------------------------

const HEAD = [
  'INVITE sip:srs@127.0.0.1 SIP/2.0',
  'Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKfuzz',
  'From: "Alice" <sip:+12025550101@example.com;user=phone>;tag=a',
  'To: <sip:srs@127.0.0.1>',
  'Call-ID: fuzz@example.com',
  'CSeq: 1002417742 INVITE',
  'Contact: <sip:src@127.0.0.1:5070>;+sip.src',
  'Require: siprec',
];

/** An INVITE as an SRC sends it: SDP and metadata in one body. */
function recordingInvite(sdp: Buffer, metadata: Buffer, nested: boolean): Buffer {
  const parts = (boundary: string) => [
    `--${boundary}\r\nContent-Type: application/sdp\r\n\r\n${sdp}\r\n--${boundary}\r\n`,
    'Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session;handling=optional\r\n',
    `\r\n${metadata}\r\n--${boundary}--\r\n`,
  ];
  const inner = parts('inner').join('');
  const body = nested
    ? `preamble\r\n--outer\r\nContent-Type: multipart/mixed; boundary="inner"\r\n\r\n${inner}\r\n--outer--\r\nepilogue`
    : inner;
  const type = `multipart/mixed; boundary=${nested ? 'outer' : 'inner'}`;
  const head = [...HEAD, `Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`, '', ''];
  return Buffer.from(head.join('\r\n') + body);
}

const MESSAGE_TOKENS = pieces(
  ...[
    '--',
    '--inner',
    '--inner--',
    '--outer',
    ':',
    ';',
    ',',
    '"',
    '<',
    '>',
    '=',
    '@',
    '%00',
    '[::1]',
    'sip:',
  ],
  ...[
    'Content-Type: multipart/mixed\r\n',
    'Content-Type: multipart/mixed;boundary=inner\r\n',
    ';boundary=""',
  ],
  ...['Content-Length: 0\r\n', 'Content-Disposition: session;handling=required\r\n', 'v: SIP/2.0/UDP x\r\n'],
  ...['SIP/2.0', 'SIP/2.0 200 OK\r\n', 'z9hG4bK', ';tag=', 'CSeq: ', 'l: ', '\r\n\r\n', '\r\n '],
);

const MESSAGE_OPENERS = pieces(
  ...['"', '<', '(', '[', '\\"', ';a', ',', '<<', '%25', '--inner\r\n', '\r\n '],
  ...[
    '--inner\r\nContent-Type: multipart/mixed;boundary=inner\r\n\r\n',
    'Via: SIP/2.0/UDP a;b=c\r\n',
    'a: b\r\n',
  ],
);

function mime(): Reader {
  const [sdps, documents] = [fixtures('sdp'), fixtures('metadata')];
  const invites = documents.flatMap((document, index) =>
    [false, true].map((nested) => recordingInvite(sdps[index % sdps.length] as Buffer, document, nested)),
  );
  return {
    corpus: {
      seeds: [...invites, ...TORTURE_MESSAGES.map(({ bytes }) => bytes)],
      tokens: MESSAGE_TOKENS,
      openers: MESSAGE_OPENERS,
    },
    read: (input) => {
      findMetadata(readBody(input).parts);
      readBody(input.toString());
    },
    close: nothingToClose,
  };
}

function sip(): Reader {
  // Short bodies: what this reader can get wrong is before them.
  const requests = [
    recordingInvite(Buffer.from('v=0\r\n'), Buffer.from('<recording/>'), false),
    ...TORTURE_MESSAGES.map(({ bytes }) => bytes),
  ];
  const responses = pieces(
    [
      'SIP/2.0 200 OK',
      ...HEAD.slice(1, 6),
      'Record-Route: <sip:127.0.0.1;lr>, <sip:127.0.0.2;lr>',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
  return {
    corpus: { seeds: [...requests, ...responses], tokens: MESSAGE_TOKENS, openers: MESSAGE_OPENERS },
    refusal: SipParseError,
    read: (input) => {
      // A stream never throws, wherever it is cut.
      const read = streamReader();
      read(input.subarray(0, input.length >> 1));
      read(input.subarray(input.length >> 1));
      parseFragment(input);
      const message = parseMessage(input);
      use(message);
      // What is read and written again is read again, and is the same.
      const again = serialise(parseMessage(serialise(message)));
      if (!again.equals(serialise(message))) throw new Error('a message changes when it is written and read');
    },
    close: nothingToClose,
  };
}

/** What the transaction layer and the dialogs ask of a message. */
function use(message: SipMessage): void {
  for (const name of ['From', 'To']) parseUri(parseNameAddr(header(message, name) ?? '').uri);
  for (const contact of headerValues(message, 'Contact')) parseNameAddr(contact);
}

// ---- bodies ------------------------------------------------------------------------------------------------

function sdp(): Reader {
  return {
    corpus: {
      seeds: fixtures('sdp'),
      tokens: pieces(
        ...[
          'v=',
          'm=',
          'm=audio 0 RTP/SAVP 0\r\n',
          'c=IN IP4 0.0.0.0\r\n',
          'c=IN IP6 ::\r\n',
          'a=',
          't=',
          'o=',
        ],
        ...[
          'a=rtpmap:',
          'a=rtpmap:96 opus/48000/2\r\n',
          'a=fmtp:0 ',
          'a=label:',
          'a=inactive\r\n',
          'a=ptime:',
        ],
        ...[
          'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:',
          '|2^31|1:4',
          'a=rtcp:',
          'a=rtcp-mux\r\n',
          '/',
          ':',
          '=',
        ],
      ),
      openers: pieces(
        'm=audio 1 RTP/AVP 0\r\n',
        'a=label:1\r\n',
        ' 0',
        '/0',
        'a=fmtp:0 a;',
        'a=crypto:1 ',
        '(',
        ':',
      ),
    },
    refusal: SdpError,
    read: (input) => {
      const offer = readOffer(input.toString());
      streamLabels(offer.mLines);
      writeAnswer(offer, { address: '127.0.0.1', sessionId: '1', version: 1, streams: new Map() });
    },
    close: nothingToClose,
  };
}

function metadata(): Reader {
  const { mLines } = readOffer(String(fixtures('sdp')[0]));
  return {
    corpus: {
      seeds: fixtures('metadata'),
      tokens: pieces(
        ...[
          '<',
          '</',
          '>',
          '/>',
          '<![CDATA[',
          ']]>',
          '<!--',
          '-->',
          '<?',
          '?>',
          '"',
          "'",
          '=',
          '&',
          ';',
          ' xmlns="',
        ],
        ...[
          '<!DOCTYPE a [<!ENTITY b "c">]>',
          '<!ENTITY',
          '&b;',
          '&#0;',
          '&#x110000;',
          '&#55296;',
          '&amp;',
          '&lt',
        ],
        ...[
          '<participant',
          '<stream',
          '<session',
          'participant_id="',
          '<constructor>',
          '<__proto__>',
          'toString=',
        ],
      ),
      openers: pieces(
        '<a>',
        '<a ',
        '<a b="',
        '<!--',
        '<![CDATA[',
        '<!DOCTYPE a [',
        '<?x ',
        '&amp;',
        '<x:',
        'x:',
        '</',
      ),
    },
    read: (input) => {
      mapParticipants(readMetadata(input), mLines);
    },
    close: nothingToClose,
  };
}

// ---- media -------------------------------------------------------------------------------------------------

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** RTP with everything that a header can have, and compound RTCP (RFC 3550 5.1, 5.3.1, 6.4, 6.6). */
const PACKETS = [
  bytes(`80 00 0001 000000a0 12345678 ${'d5'.repeat(160)}`),
  bytes(
    `b2 80 ffff ffffffff 12345678 00000001 00000002 bede 0002 10aa 0000 00000000 ${'d5'.repeat(20)} 00000004`,
  ),
  bytes('80 65 0002 00000140 12345678 01 0a 00a0'),
  bytes(
    '80 c8 0006 12345678 e0000000 80000000 000000a0 00000001 000000a0 81 ca 0003 12345678 01 03 616263 000000',
  ),
  bytes('81 c9 0007 12345678 9abcdef0 00000000 00000001 00000000 00000000 00000000 81 cb 0001 12345678'),
];

/** Lengths and type fields that lead astray. */
const BINARY_TOKENS = [
  '00',
  'ff',
  '0000',
  'ffff',
  '80c8',
  '80cb',
  'bede',
  'ffffffff',
  '1f40',
  '0008',
  '0009',
].map(bytes);

function rtp(): Reader {
  return {
    corpus: { seeds: PACKETS, tokens: BINARY_TOKENS, openers: ['81cb0000', '80c80000', '00'].map(bytes) },
    read: (input) => {
      // A datagram arrives in a buffer that is larger, and holds the one before it.
      for (const [packet, length] of [
        [input, input.length] as const,
        [RECEIVE_BUFFER, input.length] as const,
      ]) {
        if (packet === RECEIVE_BUFFER) input.copy(RECEIVE_BUFFER);
        if (length > packet.length) continue;
        if (isRtp(packet, length)) {
          const [start, end] = [payloadStart(packet, length), payloadEnd(packet, length)];
          if (!(start <= end && end <= length))
            throw new Error(`payload from ${start} to ${end} of ${length} bytes`);
          within(payloadType(packet), 0x7f);
          within(sequence(packet), 0xffff);
          within(timestamp(packet), 0xffffffff);
          within(ssrc(packet), 0xffffffff);
        }
        if (isRtcp(packet, length))
          for (const item of readRtcp(packet.subarray(0, length))) within(item.ssrc, 0xffffffff);
      }
    },
    close: nothingToClose,
  };
}

const RECEIVE_BUFFER = Buffer.alloc(2048, 0xff);

function within(value: number, max: number): void {
  if (!(value >= 0 && value <= max)) throw new Error(`${value} is not within 0 and ${max}`);
}

function journal(): Reader {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-fuzz-journal-'));
  const path = join(directory, 'journal.rtpdump');
  const seeds = ['127.0.0.1', '::1'].map((address, index) => {
    const file = join(directory, `seed-${index}`);
    const startedAtMs = Date.UTC(2025, 0, 1);
    const writer = new JournalWriter(file, { address, port: 40_000, startedAtMs }, ({ message }) => {
      throw new Error(message);
    });
    for (let i = 0; i < 12; i++) {
      const packet = PACKETS[i % PACKETS.length] as Buffer;
      writer.append(packet, packet.length, startedAtMs + 20 * i, isRtcp(packet, packet.length));
    }
    writer.close();
    return readFileSync(file);
  });
  return {
    corpus: {
      seeds,
      tokens: [...BINARY_TOKENS, ...pieces('#!rtpplay1.0 ', '127.0.0.1/40000\n', '\n', '/')],
      openers: [...['0009000100000000', '0008', '00'].map(bytes), ...pieces('#!rtpplay1.0 a/1\n')],
    },
    read: (input) => {
      writeFileSync(path, input);
      const reader = new JournalReader(path);
      let read = 0;
      for (const { packet, arrivalMs } of reader.packets()) {
        within(arrivalMs, Number.MAX_SAFE_INTEGER);
        read += packet.length;
      }
      within(reader.truncatedAt ?? 0, input.length);
      if (read > input.length)
        throw new Error(`${read} bytes of packets in ${input.length} bytes of journal`);
    },
    close: () => rmSync(directory, { recursive: true }),
  };
}

/** Each is made when it is wanted, and to be closed. */
export const READERS: Record<ReaderName, () => Reader> = { mime, sdp, metadata, rtp, sip, journal };
