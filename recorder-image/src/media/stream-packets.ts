/** The RTP packets of a stream as its journal holds them: decrypted, counted, and their timestamps unwrapped. */
import { CODECS, type CodecName } from '../sdp/codecs.ts';
import type { ClockFollower } from './clock-follower.ts';
import { decryptJournalPackets, emptyDecryptionReport, type ProtectionPeriod } from './decrypt-journal.ts';
import type { JournalPacket } from './journal.ts';
import { JournalSegments } from './journal-segments.ts';
import { payloadTicks } from './payload-duration.ts';
import { isRtp, payloadEnd, payloadStart, payloadType, sequence, ssrc, timestamp } from './rtp.ts';
import { SequenceTracker } from './sequence-tracker.ts';
import { TICK_RATE, TICKS_PER_MS } from './ticks.ts';

/** A sender that changes its SSRC all the time, or a spoiled journal, must not use the memory up. */
const MAX_SOURCES = 64;
const MAX_TOLD_SSRCS = 100;

/** What the numbers mean. Packets of other payload types count, but carry nothing. */
export interface PayloadTypes {
  codecs: ReadonlyMap<number, CodecName>;
  /** Of telephone events; with their clock rate in Hz. */
  telephoneEvents?: ReadonlyMap<number, number>;
  /** What the offers asked for, in the order of time; absent if the stream was never encrypted. */
  protection?: readonly ProtectionPeriod[];
}

/** A stream's journal, and what is needed to read it. */
export interface StreamJournal extends PayloadTypes {
  /** Its segments in the order of time. */
  journalPaths: readonly string[];
  /** About when the first segment was begun, as known from elsewhere; milliseconds since the epoch. */
  openedAtMs?: number;
}

/** One SSRC. */
export interface Source {
  readonly ssrc: number;
  /** Last timestamp in the order of arrival, unwrapped beyond its 32 bits. */
  timestamp: number;
  /** As sent: that of the packet before, if it was too far away to be believed. */
  stray: number | undefined;
  readonly sequences: SequenceTracker;
  /** What its timestamps mean at present. */
  clock: ClockFollower | undefined;
}

export interface Audio {
  codec: CodecName;
  clockRate: number;
  /** The packet's timestamp in ticks. */
  time: number;
  /** In ticks. */
  duration: number;
}

export interface StreamPacket {
  source: Source;
  /** Place among the RTP packets of the stream, from 0. */
  ordinal: number;
  sequence: number;
  /** Unwrapped. */
  timestamp: number;
  /** In ticks since the epoch. */
  arrival: number;
  /** Of the journal. */
  segment: number;
  /** Spoiled parts of the journal before it. */
  skips: number;
  /** Absent where the payload is not audio of a known codec: telephone events, comfort noise, silence descriptors. */
  audio: Audio | undefined;
  /** Clock rate of a telephone event; absent if it is none. */
  eventClockRate: number | undefined;
  /** Valid only until the next packet is read. */
  payload: Uint8Array;
}

export interface AudioPacket extends StreamPacket {
  audio: Audio;
}

export const isAudio = (packet: StreamPacket): packet is AudioPacket => packet.audio !== undefined;

/** An RTCP packet, compound or not; `packet` is valid only during the call. */
export type RtcpListener = (
  packet: Uint8Array,
  arrival: number,
  find: (ssrc: number) => Source | undefined,
) => void;

export const inTicks = (timestamp: number, clockRate: number): number => timestamp * (TICK_RATE / clockRate);

const NOTHING = new Uint8Array();

/** Reads a stream once; its counts are complete then. Times are milliseconds since the epoch. */
export class StreamPackets {
  /** In the order of their first packet, the first `MAX_TOLD_SSRCS`. */
  readonly ssrcs = new Set<number>();
  /** In the order of their first packet. */
  readonly payloadTypes = new Set<number>();
  /** RTP, duplicates included. */
  packets = 0;
  firstPacketAt: number | undefined;
  lastPacketAt: number | undefined;
  readonly journal: JournalSegments;
  readonly decryption = emptyDecryptionReport();
  readonly #types: PayloadTypes;
  /** The one heard last is the last. */
  readonly #sources = new Map<number, Source>();
  #lastSource: Source | undefined;
  #lostOfForgotten = 0;

  constructor(stream: StreamJournal) {
    this.journal = new JournalSegments(stream.journalPaths, stream.openedAtMs);
    this.#types = stream;
  }

  /** Of all sources, as far as their sequence trackers were told. */
  get lostPackets(): number {
    let lost = this.#lostOfForgotten;
    for (const { sequences } of this.#sources.values()) lost += sequences.lost;
    return lost;
  }

  /**
   * All RTP packets in the order of their arrival.
   * @throws NodeJS.ErrnoException if the journal cannot be read
   */
  *read(onRtcp?: RtcpListener): Generator<StreamPacket, void, void> {
    const find = (id: number): Source | undefined => this.#sources.get(id);
    for (const { rtcp, arrivalMs, packet } of this.#journalPackets()) {
      if (rtcp) onRtcp?.(packet, arrivalMs * TICKS_PER_MS, find);
      else if (isRtp(packet, packet.length)) yield this.#packet(packet, arrivalMs);
    }
  }

  #packet(packet: Uint8Array, arrivalMs: number): StreamPacket {
    const { codecs, telephoneEvents } = this.#types;
    const type = payloadType(packet);
    this.payloadTypes.add(type);
    this.firstPacketAt ??= arrivalMs;
    this.lastPacketAt = arrivalMs;
    const sent = timestamp(packet);
    const source = this.#source(ssrc(packet), sent);
    const unwrapped = unwrap(source, sent);
    const codec = codecs.get(type);
    const eventClockRate = telephoneEvents?.get(type);
    const start = payloadStart(packet, packet.length);
    const end = payloadEnd(packet, packet.length);
    const hasContent = start < end && (codec !== undefined || eventClockRate !== undefined);
    const payload = hasContent ? packet.subarray(start, end) : NOTHING;
    return {
      source,
      ordinal: this.packets++,
      sequence: sequence(packet),
      timestamp: unwrapped,
      arrival: arrivalMs * TICKS_PER_MS,
      segment: this.journal.segment,
      skips: this.journal.skips,
      audio: codec === undefined ? undefined : audioOf(codec, unwrapped, payload),
      eventClockRate,
      payload,
    };
  }

  #journalPackets(): Iterable<JournalPacket> {
    const { protection } = this.#types;
    const packets = this.journal.packets();
    return protection ? decryptJournalPackets(packets, protection, this.decryption) : packets;
  }

  #source(id: number, firstTimestamp: number): Source {
    if (this.#lastSource?.ssrc === id) return this.#lastSource;
    const source = this.#sources.get(id) ?? {
      ssrc: id,
      timestamp: firstTimestamp,
      stray: undefined,
      sequences: new SequenceTracker(),
      clock: undefined,
    };
    this.#sources.delete(id);
    this.#sources.set(id, source);
    this.#lastSource = source;
    if (this.ssrcs.size < MAX_TOLD_SSRCS) this.ssrcs.add(id);
    if (this.#sources.size > MAX_SOURCES) this.#forgetOldest();
    return source;
  }

  #forgetOldest(): void {
    const [oldest] = this.#sources.values();
    if (oldest === undefined) return;
    this.#lostOfForgotten += oldest.sequences.lost;
    this.#sources.delete(oldest.ssrc);
  }
}

/** 37 hours at 8 kHz: so far timestamps go from one packet to the next only where the sender has set them anew. */
const MAX_STEP = 2 ** 30;

/** A timestamp far away is that of a sender who begins anew only if the next one bears it out; alone it is broken. */
function unwrap(source: Source, sent: number): number {
  // The difference as a signed number of 32 bits is the way across the wrap-around.
  const unwrapped = source.timestamp + ((sent - source.timestamp) | 0);
  const isNear = (other: number) => Math.abs((sent - other) | 0) < MAX_STEP;
  const isBelieved = isNear(source.timestamp) || (source.stray !== undefined && isNear(source.stray));
  source.stray = isBelieved ? undefined : sent;
  if (isBelieved) source.timestamp = unwrapped;
  return unwrapped;
}

function audioOf(codec: CodecName, timestamp: number, payload: Uint8Array): Audio | undefined {
  const duration = payload.length === 0 ? 0 : payloadTicks(codec, payload);
  if (duration === 0) return undefined;
  const { clockRate } = CODECS[codec];
  return { codec, clockRate, time: inTicks(timestamp, clockRate), duration };
}
