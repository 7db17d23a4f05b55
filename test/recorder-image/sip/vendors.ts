/** How each kind of SRC writes its requests: the marks, headers, bodies and SDP of `reference/siprec.md` 2.3 and 2.7. */
import { CODECS, type Codec } from '../../../local/broadworks/g711.ts';
import type { Header } from '../../../local/sip/message.ts';
import { HOST } from '../../helpers/recorder.ts';

export interface Vendor {
  /** The Contact, with the mark of a recording client or without any. */
  contact: (uri: string) => string;
  headers: readonly Header[];
  /** Of the SDP: the `o=` line up to the version, and where its `c=` line stands. */
  origin: string;
  connection: 'session' | 'media' | 'none';
  contentType: string;
  /** SDP and metadata in one body. */
  body: (sdp: Buffer, metadata: Buffer) => Buffer;
  metadataType: string;
}

/** One m-line of an offer. */
export interface OfferedStream {
  label: string;
  port: number;
  codec: Codec;
  /** Of its `c=` line; the same for all streams where the vendor has one line for the session. */
  address: string;
  /** Without it no attribute is written. */
  direction?: 'sendonly' | 'recvonly' | 'inactive' | undefined;
}

/** With the static payload types that all SRCs list beside the one that they send. */
export function writeOffer(
  { origin, connection }: Vendor,
  version: number,
  streams: readonly OfferedStream[],
): string {
  const connectionLine = ({ address }: OfferedStream) => `c=IN IP4 ${address}`;
  return [
    'v=0',
    `o=${origin} ${version} IN IP4 ${HOST}`,
    's=-',
    ...(connection === 'session' ? streams.slice(0, 1).map(connectionLine) : []),
    't=0 0',
    ...streams.flatMap((stream) => {
      const { payloadType, rtpmap } = CODECS[stream.codec];
      return [
        `m=audio ${stream.port} RTP/AVP ${payloadType} 18 101`,
        ...(connection === 'media' ? [connectionLine(stream)] : []),
        `a=rtpmap:${payloadType} ${rtpmap}`,
        'a=rtpmap:18 G729/8000',
        'a=fmtp:18 annexb=no',
        'a=rtpmap:101 telephone-event/8000',
        'a=fmtp:101 0-15',
        'a=ptime:20',
        `a=label:${stream.label}`,
        ...(stream.direction ? [`a=${stream.direction}`] : []),
      ];
    }),
    '',
  ].join('\r\n');
}

const RS_METADATA_XML = 'application/rs-metadata+xml';
const RS_METADATA = 'application/rs-metadata';

/** A part of a body: the lines of its header as they are written. */
type Part = readonly [head: readonly string[], content: Buffer];

interface MultipartStyle {
  boundary: string;
  /** After each delimiter, before the end of the line (RFC 2046 section 5.1.1: transport padding). */
  padding?: string;
  /** False: nothing follows the last part, not even the end of its last line. */
  isClosed?: boolean;
}

function multipart(
  { boundary, padding = '', isClosed = true }: MultipartStyle,
  ...parts: readonly Part[]
): Buffer {
  const written = parts.map(([head, content], index) =>
    Buffer.concat([
      Buffer.from(`${index > 0 ? '\r\n' : ''}--${boundary}${padding}\r\n${head.join('\r\n')}\r\n\r\n`),
      content,
    ]),
  );
  return Buffer.concat([...written, Buffer.from(isClosed ? `\r\n--${boundary}--\r\n` : '')]);
}

const sdpPart = (sdp: Buffer): Part => [['Content-Type: application/sdp'], sdp];
const metadataPart = (metadata: Buffer, type = RS_METADATA_XML): Part => [
  [`Content-Type: ${type}`, 'Content-Disposition: recording-session'],
  metadata,
];

const outside = (mark: string) => (uri: string) => `<${uri}>;${mark}`;
const REQUIRE: Header = ['Require', 'siprec'];
const BROADWORKS_METHODS = 'ACK,BYE,CANCEL,INFO,INVITE,OPTIONS,PRACK,REFER,NOTIFY';

/** RFC 7866 as it is written. */
const RFC7866: Vendor = {
  contact: outside('+sip.src'),
  headers: [
    REQUIRE,
    ['Accept', `application/sdp, ${RS_METADATA_XML}`],
    ['Allow', 'INVITE, ACK, BYE, CANCEL, UPDATE, OPTIONS'],
  ],
  origin: 'src 2890844526',
  connection: 'session',
  contentType: 'multipart/mixed;boundary=foobar',
  body: (sdp, metadata) => multipart({ boundary: 'foobar' }, sdpPart(sdp), metadataPart(metadata)),
  metadataType: RS_METADATA_XML,
};

/** Metadata first, no blank after the colon, and a length in each part. */
const BROADWORKS: Vendor = {
  contact: outside('src'),
  headers: [
    ['Privacy', 'none'],
    ['Recv-Info', ''],
    ['Supported', ''],
    ['Accept', 'application/media_control+xml,application/sdp,application/x-broadworks-call-center+xml'],
    ['Allow', BROADWORKS_METHODS],
  ],
  origin: 'BroadWorks 2855165',
  connection: 'session',
  contentType: 'multipart/mixed;boundary=UniqueBroadWorksBoundary',
  body: (sdp, metadata) =>
    multipart(
      { boundary: 'UniqueBroadWorksBoundary' },
      [
        [
          `Content-Type:${RS_METADATA_XML}`,
          'Content-Disposition:recording-session',
          `Content-Length:${metadata.length}`,
        ],
        metadata,
      ],
      [['Content-Type:application/sdp', `Content-Length:${sdp.length}`], sdp],
    ),
  metadataType: RS_METADATA_XML,
};

export const VENDORS = {
  rfc7866: RFC7866,
  broadworks: BROADWORKS,
  /** Headers that no UAS may fail on, and the SDP first. */
  'broadworks-old': {
    ...BROADWORKS,
    headers: [
      ['Remote-Party-ID', '"Alice"<sip:+12025550101@example.com>;party=calling;privacy=off'],
      ['RPID-Privacy', 'party=calling;privacy=off'],
      ['Proxy-Require', 'privacy'],
      ['Expires', '180'],
      ['Allow', BROADWORKS_METHODS],
    ],
    body: (sdp, metadata) =>
      multipart({ boundary: 'UniqueBroadWorksBoundary' }, sdpPart(sdp), metadataPart(metadata)),
  },
  webex: {
    ...BROADWORKS,
    headers: [
      ...BROADWORKS.headers,
      ['Session-ID', '0000000000000000000000000000cc03;remote=00000000000000000000000000000000'],
      ['Max-Breadth', '60'],
    ],
  },
  /** Blanks at the ends of lines, a third part, the tag without what RFC 7866 requires beside it. */
  cube: {
    ...RFC7866,
    headers: [
      ['Supported', '100rel,timer,resource-priority,replaces,sdp-anat'],
      ['Cisco-Guid', '0000000001-0000000002-0000000003-0000000004'],
      ['Allow', 'INVITE, OPTIONS, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY, INFO, REGISTER'],
      ['Allow-Events', 'telephone-event'],
    ],
    origin: 'CiscoSystemsSIP-GW-UserAgent 4711',
    connection: 'media',
    contentType: 'multipart/mixed;boundary=uniqueBoundary',
    body: (sdp, metadata) =>
      multipart(
        { boundary: 'uniqueBoundary', padding: ' ' },
        [['Content-Type: application/sdp ', 'Content-Disposition: session;handling=required'], sdp],
        [
          [`Content-Type: ${RS_METADATA_XML} `, 'Content-Disposition: recording-session;handling=required '],
          metadata,
        ],
        [
          ['Content-Type: application/gtd', 'Content-Disposition: signal;handling=optional'],
          Buffer.from('IAM,\r\nPRN,isdn*,,NI***,\r\n\r\n'),
        ],
      ),
  },
  oracle: {
    ...RFC7866,
    origin: '- 7381',
    contentType: 'multipart/mixed; boundary="unique-boundary-1"',
    body: (sdp, metadata) =>
      multipart({ boundary: 'unique-boundary-1' }, sdpPart(sdp), metadataPart(metadata)),
  },
  /** No closing delimiter. */
  ribbon: {
    ...RFC7866,
    headers: [
      REQUIRE,
      ['Supported', 'timer,100rel'],
      ['Session-Expires', '1800;refresher=uac'],
      ['Min-SE', '90'],
      ['Accept', 'application/sdp, application/rs-metadata-request'],
      ['Allow', 'INVITE,ACK,CANCEL,BYE,PRACK,UPDATE'],
    ],
    origin: 'Sonus_UAC 4711',
    connection: 'media',
    contentType: 'multipart/mixed; boundary=sonus-content-delim',
    body: (sdp, metadata) =>
      multipart({ boundary: 'sonus-content-delim', isClosed: false }, sdpPart(sdp), metadataPart(metadata)),
  },
  /** The mark of BroadWorks with the option tag of the RFC. */
  audiocodes: {
    ...RFC7866,
    contact: outside('src'),
    origin: 'AudioCodesGW 4711',
    connection: 'media',
    contentType: 'multipart/mixed;boundary=boundary_ac1234',
    body: (sdp, metadata) =>
      multipart({ boundary: 'boundary_ac1234' }, sdpPart(sdp), metadataPart(metadata, RS_METADATA)),
    metadataType: RS_METADATA,
  },
  metaswitch: {
    ...RFC7866,
    origin: '- 4711',
    contentType: 'multipart/mixed; boundary= boundary1 ',
    body: (sdp, metadata) =>
      multipart({ boundary: 'boundary1' }, sdpPart(sdp), metadataPart(metadata, RS_METADATA)),
    metadataType: RS_METADATA,
  },
  /** The feature tag within the angle brackets. */
  avaya: {
    ...RFC7866,
    contact: (uri) => `<${uri};+sip.src>`,
    origin: 'ASBCE 4711',
    contentType: 'multipart/mixed;boundary=foobar',
    body: (sdp, metadata) =>
      multipart({ boundary: 'foobar' }, sdpPart(sdp), metadataPart(metadata, RS_METADATA)),
    metadataType: RS_METADATA,
  },
  netsapiens: { ...RFC7866, origin: 'NetSapiens 4711', contentType: 'Multipart/Mixed;Boundary=foobar' },
  /** An SRC that never receives need not say where. */
  opensips: {
    ...RFC7866,
    origin: 'OpenSIPS 4711',
    connection: 'none',
    contentType: 'multipart/mixed;boundary=OSS-unique-boundary-42',
    body: (sdp, metadata) =>
      multipart({ boundary: 'OSS-unique-boundary-42' }, sdpPart(sdp), metadataPart(metadata)),
  },
  /** Cisco's built-in bridge: a plain call, but for its From header. */
  'built-in-bridge': {
    ...RFC7866,
    contact: (uri) => `<${uri}>`,
    headers: [
      ['Supported', 'timer,resource-priority,replaces'],
      ['X-Cisco-Presentation', 'allowed'],
      ['Call-Info', '<sip:192.0.2.50:5060>;method="NOTIFY;Event=telephone-event;Duration=500"'],
    ],
    origin: 'CiscoSystemsCCM-SIP 4711',
  },
} satisfies Record<string, Vendor>;
export type VendorName = keyof typeof VENDORS;
