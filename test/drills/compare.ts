/** Compares one channel of a recording, byte by byte, with the packets that were sent, and with what its manifest says. */
import type { Gap } from '../../core/manifest.ts';
import { PACKET_MS, PAYLOAD_BYTES, SILENCE, voiceAt, writePayload } from './voice.ts';

const BYTES_PER_MS = PAYLOAD_BYTES / PACKET_MS;
/** Of a gap's ends, in milliseconds: one sample. */
const ROUNDING_MS = 0.125;

export interface Comparison {
  /** Packets. */
  sent: number;
  /** Numbers of the packets that are missing, all or in part, in order. */
  missing: number[];
  /** Milliseconds of audio that are there, and are not what was sent. */
  differingMs: number;
  /** Of those: whole packets of another stream. */
  strangerMs: number;
  /** Missing in more than one packet on end, and in no gap of the manifest. */
  unlistedMs: number;
  /** There, though the manifest lists a gap. */
  wronglyListedMs: number;
  /** Of the gaps over what is missing. */
  causes: Set<Gap['cause']>;
}

/**
 * @param channel the stream's bytes; empty where there is no audio
 * @param sent how many packets
 * @param gaps as the manifest lists them, from the first sample of the channel on
 */
export function compare(channel: Buffer, stream: number, sent: number, gaps: readonly Gap[]): Comparison {
  const result: Comparison = {
    sent,
    missing: [],
    differingMs: 0,
    strangerMs: 0,
    unlistedMs: 0,
    wronglyListedMs: 0,
    causes: new Set(),
  };
  const origin = originOf(channel, stream);
  if (origin === undefined) {
    result.missing = Array.from({ length: sent }, (_, packet) => packet);
    result.differingMs = heardBytes(channel) / BYTES_PER_MS;
    result.strangerMs = strangersIn(channel, stream) * PACKET_MS;
    result.unlistedMs = listedAsMissing(result, gaps, 0, channel.length);
    return result;
  }
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  let differing = 0;
  for (let packet = 0; packet < sent; packet++) {
    const at = origin + packet * PAYLOAD_BYTES;
    writePayload(payload, 0, stream, packet);
    if (at >= 0 && payload.equals(channel.subarray(at, at + PAYLOAD_BYTES))) {
      const fromMs = at / BYTES_PER_MS;
      result.wronglyListedMs += sumMs(overlaps(gaps, fromMs, fromMs + PACKET_MS));
      continue;
    }
    const different = differenceIn(channel, at, payload);
    differing += different;
    if (different > 0 && at >= 0 && isStranger(channel, at, stream)) result.strangerMs += PACKET_MS;
    if (different === 0) result.missing.push(packet);
  }
  // Before the first packet and after the last nobody spoke.
  differing += heardBytes(channel.subarray(0, Math.max(0, origin)));
  differing += heardBytes(channel.subarray(Math.max(0, origin + sent * PAYLOAD_BYTES)));
  result.differingMs = differing / BYTES_PER_MS;
  result.unlistedMs = listedAsMissing(result, gaps, origin, channel.length);
  return result;
}

/** So many packets that agree are believed. */
const VOTES = 5;

/**
 * Where packet 0 belongs, as most packets of the stream say that are whole; negative if that is before the file. One alone
 * may have been led astray.
 */
function originOf(channel: Buffer, stream: number): number | undefined {
  const votes = new Map<number, number>();
  for (let at = 0; at + PAYLOAD_BYTES <= channel.length; at++) {
    if (channel[at] === SILENCE) continue;
    const name = voiceAt(channel, at);
    if (name?.stream !== stream) continue;
    const origin = at - name.packet * PAYLOAD_BYTES;
    votes.set(origin, (votes.get(origin) ?? 0) + 1);
    if (votes.get(origin) === VOTES) return origin;
    at += PAYLOAD_BYTES - 1;
  }
  const [best] = [...votes].sort(([, one], [, other]) => other - one);
  return best?.[0];
}

/** Bytes of a packet's place that hold neither the packet nor silence. */
function differenceIn(channel: Buffer, at: number, payload: Buffer): number {
  let different = 0;
  for (let index = 0; index < PAYLOAD_BYTES; index++) {
    const byte = channel[at + index];
    if (byte !== undefined && byte !== SILENCE && byte !== payload[index]) different++;
  }
  return different;
}

const isStranger = (channel: Buffer, at: number, stream: number): boolean =>
  (voiceAt(channel, at)?.stream ?? stream) !== stream;

function strangersIn(channel: Buffer, stream: number): number {
  let strangers = 0;
  for (let at = 0; at + PAYLOAD_BYTES <= channel.length; at++)
    if (channel[at] !== SILENCE && isStranger(channel, at, stream)) strangers++;
  return strangers;
}

const heardBytes = (bytes: Buffer): number =>
  bytes.reduce((heard, byte) => heard + Number(byte !== SILENCE), 0);

/**
 * Takes the causes of the gaps over what is missing within the file.
 * @returns milliseconds that are missing and not listed. One packet alone is no gap of over 20 ms
 */
function listedAsMissing(
  { missing, causes }: Comparison,
  gaps: readonly Gap[],
  origin: number,
  fileBytes: number,
): number {
  let unlistedMs = 0;
  for (const [first, last] of runs(missing)) {
    const fromMs = Math.max(0, origin + first * PAYLOAD_BYTES) / BYTES_PER_MS;
    const toMs = Math.min(fileBytes, origin + (last + 1) * PAYLOAD_BYTES) / BYTES_PER_MS;
    if (toMs - fromMs <= PACKET_MS) continue;
    const listed = overlaps(gaps, fromMs, toMs);
    for (const { cause } of listed) causes.add(cause);
    const unlisted = toMs - fromMs - sumMs(listed);
    if (unlisted > 2 * ROUNDING_MS) unlistedMs += unlisted;
  }
  return unlistedMs;
}

/** What the gaps list of a stretch. */
const overlaps = (
  gaps: readonly Gap[],
  fromMs: number,
  toMs: number,
): { cause: Gap['cause']; ms: number }[] =>
  gaps
    .map(({ cause, ...gap }) => ({ cause, ms: Math.min(toMs, gap.toMs) - Math.max(fromMs, gap.fromMs) }))
    .filter(({ ms }) => ms > ROUNDING_MS);

const sumMs = (listed: { ms: number }[]): number => listed.reduce((sum, { ms }) => sum + ms, 0);

/** Consecutive numbers, as [first, last]. */
export function runs(numbers: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found;
}
