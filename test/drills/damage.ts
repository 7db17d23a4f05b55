/**
 * Damage to a journal, and which packets it must have destroyed. The format is rtptools' rtpdump, read here without the
 * recorder's code: a line of text, 16 bytes, then records of 8 bytes (length, RTP length, offset in ms) and a packet.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { PAYLOAD_BYTES, voiceAt } from './voice.ts';

const FILE_HEADER_BYTES = 16;
const RECORD_HEADER_BYTES = 8;
const RTP_HEADER_BYTES = 12;
const MOST_FLIPS = 4;

export interface Damage {
  kind: 'intact' | 'cut off' | 'bits flipped';
  /** From this packet on nothing is there; infinite where nothing was cut off. */
  cutAt: number;
  /** Packets with a flipped bit somewhere in their record. */
  spoiled: number[];
}

interface JournalRecord {
  /** In the file, in bytes. */
  from: number;
  to: number;
  /** Number of the packet; undefined for RTCP. */
  packet: number | undefined;
}

const KINDS = ['intact', 'cut off', 'bits flipped'] as const;

/** Damages a journal in a way that `random` chooses. */
export function damage(path: string, random: () => number): Damage {
  const bytes = readFileSync(path);
  const records = recordsOf(bytes);
  const first = records[0]?.from;
  const kind = first === undefined ? 'intact' : (KINDS[Math.floor(random() * KINDS.length)] ?? 'intact');
  const none = { kind, cutAt: Number.POSITIVE_INFINITY, spoiled: [] };
  if (kind === 'intact' || first === undefined) return none;
  const somewhere = () => first + Math.floor(random() * (bytes.length - first));
  if (kind === 'cut off') {
    const at = somewhere();
    // Between two records nobody could tell that there was more.
    const length = records.some(({ from }) => from === at) ? at + 1 : at;
    writeFileSync(path, bytes.subarray(0, length));
    const lost = records.find(({ to, packet }) => packet !== undefined && to > length);
    return { ...none, cutAt: lost?.packet ?? none.cutAt };
  }
  const offsets = Array.from({ length: 1 + Math.floor(random() * MOST_FLIPS) }, somewhere);
  for (const offset of offsets) bytes[offset] = (bytes[offset] as number) ^ (1 << Math.floor(random() * 8));
  writeFileSync(path, bytes);
  const spoiled = offsets.flatMap((offset) => nearest(records, offset) ?? []);
  return { ...none, spoiled };
}

/** The packet of the record that holds the byte; of an RTCP record, the packet before it. */
function nearest(records: readonly JournalRecord[], offset: number): number | undefined {
  return records.findLast(({ from, packet }) => from <= offset && packet !== undefined)?.packet;
}

function recordsOf(bytes: Buffer): JournalRecord[] {
  const records: JournalRecord[] = [];
  let from = bytes.indexOf('\n') + 1 + FILE_HEADER_BYTES;
  while (from + RECORD_HEADER_BYTES <= bytes.length) {
    const to = from + bytes.readUInt16BE(from);
    if (to > bytes.length || to <= from) break;
    const isRtp = bytes.readUInt16BE(from + 2) > 0;
    const payload = from + RECORD_HEADER_BYTES + RTP_HEADER_BYTES;
    const packet = isRtp && to - payload === PAYLOAD_BYTES ? voiceAt(bytes, payload)?.packet : undefined;
    records.push({ from, to, packet });
    from = to;
  }
  return records;
}
