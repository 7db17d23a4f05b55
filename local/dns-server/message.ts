/**
 * From the bytes of a query to the bytes of its reply (RFC 1035, EDNS(0): RFC 6891). Pure, never throws on
 * what a client sends.
 */
import { type Answer, type DecodedPacket, decode, encode, type OptAnswer } from 'dns-packet';
import type { Question, ZoneAnswer } from './zone.ts';

const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
type Rcode = keyof typeof RCODES;

const HEADER_BYTES = 12;
const QR = 1 << 15;
const OPCODE_MASK = 0xf << 11;
const AA = 1 << 10;
const TC = 1 << 9;
const RD = 1 << 8;

/** A UDP reply may be this long when the client says nothing of EDNS (RFC 1035 section 4.2.1). */
const PLAIN_UDP_BYTES = 512;
/** And never longer than this, whatever the client offers (RFC 6891 section 6.2.5). */
const MAX_UDP_BYTES = 4096;
const MAX_TCP_BYTES = 65_535;

/** Question types that are not a record's type: a zone answers none of them. */
const META_TYPES = new Set<string>(['ANY', 'AXFR', 'IXFR', 'MAILA', 'MAILB', 'OPT']);

/**
 * Replies to one DNS message.
 * @returns undefined for what must not be answered at all: a reply, or less than a header
 */
export function replyTo(
  query: Buffer,
  transport: 'udp' | 'tcp',
  answer: (question: Question) => ZoneAnswer,
): Buffer | undefined {
  if (query.length < HEADER_BYTES) return undefined;
  const flags = query.readUInt16BE(2);
  if (flags & QR) return undefined;
  if (flags & OPCODE_MASK) return headerOnly(query, 'NOTIMP');

  const packet = tryDecode(query);
  const question = packet?.questions?.[0];
  if (packet?.questions?.length !== 1 || !question || !survivesEncoding(query, packet)) {
    return headerOnly(query, 'FORMERR');
  }
  const edns = (packet.additionals ?? []).filter((record): record is OptAnswer => record.type === 'OPT');
  if (edns.length > 1) return headerOnly(query, 'FORMERR');

  const reply: Reply = { query, packet, ...(edns[0] && { edns: edns[0] }) };
  if (edns[0] && edns[0].ednsVersion !== 0) return encodeReply(reply, { rcode: 'NOERROR', extendedRcode: 1 });
  if (META_TYPES.has(question.type)) return encodeReply(reply, { rcode: 'NOTIMP' });
  if (question.class !== 'IN') return encodeReply(reply, { rcode: 'REFUSED' });

  const { additionals, ...sections } = answer(question);
  const limit = transport === 'tcp' ? MAX_TCP_BYTES : udpLimit(edns[0]);
  const full = encodeReply(reply, { ...sections, additionals });
  if (full.length <= limit) return full;
  // RFC 2181 section 9: leaving out what was only a courtesy is not truncation.
  const bare = encodeReply(reply, sections);
  return bare.length <= limit ? bare : encodeReply(reply, { ...sections, answers: [], truncated: true });
}

/** The reply of a server that failed on its own part. */
export function serverFailure(query: Buffer): Buffer {
  return headerOnly(query, 'SERVFAIL');
}

interface Reply {
  query: Buffer;
  packet: DecodedPacket;
  edns?: OptAnswer;
}

interface ReplyContent {
  rcode: Rcode;
  extendedRcode?: number;
  authoritative?: boolean;
  truncated?: boolean;
  answers?: Answer[];
  authorities?: Answer[];
  additionals?: Answer[];
}

function encodeReply({ query, packet, edns }: Reply, content: ReplyContent): Buffer {
  const { answers = [], authorities = [], additionals = [] } = content;
  const opt: OptAnswer = {
    name: '.',
    type: 'OPT',
    udpPayloadSize: MAX_UDP_BYTES,
    extendedRcode: content.extendedRcode ?? 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  const sections = [answers, authorities, edns ? [...additionals, opt] : additionals];
  const head = encode({
    type: 'response',
    id: query.readUInt16BE(0),
    flags:
      (query.readUInt16BE(2) & RD) |
      (content.authoritative ? AA : 0) |
      (content.truncated ? TC : 0) |
      RCODES[content.rcode],
    questions: packet.questions,
  });
  sections.forEach((section, index) => {
    head.writeUInt16BE(section.length, 6 + 2 * index);
  });
  const questionName = packet.questions?.[0]?.name;
  return Buffer.concat([head, ...sections.flat().map((record) => encodeRecord(record, questionName))]);
}

/**
 * One record. The codec compresses no names, and eight SRV records only fit 512 bytes when their owner name is a
 * pointer to the question's (RFC 1035 section 4.1.4), which is right behind the header.
 */
function encodeRecord(record: Answer, questionName: string | undefined): Buffer {
  if (record.name !== questionName) return encode({ answers: [record] }).subarray(HEADER_BYTES);
  const withRootName = encode({ answers: [{ ...record, name: '.' }] }).subarray(HEADER_BYTES);
  return Buffer.concat([Buffer.from([0xc0, HEADER_BYTES]), withRootName.subarray(1)]);
}

function headerOnly(query: Buffer, rcode: Rcode): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(QR | (query.readUInt16BE(2) & (OPCODE_MASK | RD)) | RCODES[rcode], 2);
  return header;
}

function udpLimit(edns: OptAnswer | undefined): number {
  return Math.min(Math.max(edns?.udpPayloadSize ?? PLAIN_UDP_BYTES, PLAIN_UDP_BYTES), MAX_UDP_BYTES);
}

function tryDecode(query: Buffer): DecodedPacket | undefined {
  try {
    return decode(query);
  } catch {
    // The decoder's only way to say that the bytes are not a DNS message: the client gets FORMERR.
    return undefined;
  }
}

/**
 * Whether the question comes out again as it came in. The decoder turns labels into UTF-8 text, which
 * neither keeps arbitrary bytes nor dots inside a label; no name that we serve has such labels.
 */
function survivesEncoding(query: Buffer, packet: DecodedPacket): boolean {
  const question = encode({ questions: packet.questions }).subarray(HEADER_BYTES);
  return question.equals(query.subarray(HEADER_BYTES, HEADER_BYTES + question.length));
}
