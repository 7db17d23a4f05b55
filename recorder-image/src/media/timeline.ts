/**
 * Where the audio of one stream belongs in time. What is known of its senders goes on from segment to segment.
 *
 * Within a stream the RTP timestamp decides: it is exact. What instant a timestamp means, the arrival times tell,
 * through an *anchor*: position = timestamp + anchor. The anchor is the least (arrival - timestamp) of a second of
 * packets, that of the packet with the least delay, so that the jitter of the first one doesn't shift the stream.
 * A new anchor is taken where the SSRC changes, and where a second of packets contradicts the old one by more than
 * two: the sender has set its timestamps anew, or stopped them in a pause, or changed to a codec with another clock.
 *
 * Positions and durations are ticks (`ticks.ts`), positions since the epoch.
 */
import type { GapCause } from '../../../core/manifest.ts';
import { CODECS, type CodecName } from '../sdp/codecs.ts';
import { decryptJournalPackets, emptyDecryptionReport, type ProtectionPeriod } from './decrypt-journal.ts';
import { GapList } from './gap-list.ts';
import type { JournalPacket } from './journal.ts';
import { JournalSegments, type SegmentReport } from './journal-segments.ts';
import { payloadTicks } from './payload-duration.ts';
import { isRtp, payloadEnd, payloadStart, payloadType, sequence, ssrc, timestamp } from './rtp.ts';
import { SequenceTracker } from './sequence-tracker.ts';
import { TelephoneEvents } from './telephone-event.ts';
import { TICK_RATE, TICKS_PER_MS } from './ticks.ts';

/** Packets of so much arrival time are looked at for an anchor. */
const LOOKAHEAD = 1000 * TICKS_PER_MS;
/** In a burst, after this process or the network stood still, no more than so many. */
const MAX_LOOKAHEAD_PACKETS = 2000;
/** Arrival and timestamp may differ by so much without doubt in the timestamp. */
const MAX_CONTRADICTION = 2000 * TICKS_PER_MS;
/** A packet that comes this much audio too late is left out. */
const REORDER_WINDOW = 500 * TICKS_PER_MS;
/** A sender that changes its SSRC all the time, or a spoiled journal, must not use the memory up. */
const MAX_SOURCES = 64;
const MAX_TOLD_SSRCS = 100;
/** Longer gaps are listed. */
export const MAX_UNLISTED_GAP = 20 * TICKS_PER_MS;

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

export interface PlacedAudio {
  /** Of the first audio that is to be heard. */
  position: number;
  end: number;
  /** Audio at the beginning of the payload that an earlier packet covers. */
  skip: number;
  codec: CodecName;
  payload: Uint8Array;
}

/** What a journal held. Complete when all its audio has been taken. Times are milliseconds since the epoch. */
export interface StreamReport {
  /** In the order of their first packet, as are the payload types; the first `MAX_TOLD_SSRCS`. */
  ssrcs: Set<number>;
  payloadTypes: Set<number>;
  /** RTP, duplicates included. */
  packets: number;
  lostPackets: number;
  duplicatePackets: number;
  /** Encrypted under none of the keys, and left out of all other counts. */
  unauthenticPackets: number;
  firstPacketAt?: number;
  lastPacketAt?: number;
  /** Between its first and last audio. */
  gaps: GapList;
  segments: readonly SegmentReport[];
  /** Of the journal, that could not be read. */
  unreadBytes: number;
}

/** One SSRC. */
interface Source {
  ssrc: number;
  sequences: SequenceTracker;
  /** Last timestamp in the order of arrival, unwrapped beyond its 32 bits. */
  timestamp: number;
  /** Holds for timestamps of one clock rate. */
  anchor: number | undefined;
  clockRate: number | undefined;
}

interface Audio {
  codec: CodecName;
  clockRate: number;
  /** The packet's timestamp in ticks. */
  time: number;
  duration: number;
  payload: Uint8Array;
}

interface Packet {
  source: Source;
  sequence: number;
  /** Unwrapped. */
  timestamp: number;
  /** As a position. */
  arrival: number;
  /** Of the journal. */
  segment: number;
  /** Spoiled parts of the journal before it. */
  skips: number;
  /** Absent where the payload is not audio of a known codec: telephone events, comfort noise, silence descriptors. */
  audio: Audio | undefined;
  event: { clockRate: number; payload: Uint8Array } | undefined;
}

interface AudioPacket extends Packet {
  audio: Audio;
}

interface Pending extends PlacedAudio {
  source: Source;
  /** Extended. */
  sequence: number;
  segment: number;
  skips: number;
}

export class StreamTimeline {
  readonly report: StreamReport = {
    ssrcs: new Set(),
    payloadTypes: new Set(),
    packets: 0,
    lostPackets: 0,
    duplicatePackets: 0,
    unauthenticPackets: 0,
    gaps: new GapList(),
    segments: [],
    unreadBytes: 0,
  };
  /** Complete when all audio has been taken. */
  readonly telephoneEvents = new TelephoneEvents();
  readonly #journal: JournalSegments;
  readonly #decryption = emptyDecryptionReport();
  readonly #payloadTypes: PayloadTypes;
  /** The one heard last is the last. */
  readonly #sources = new Map<number, Source>();
  #lastSource: Source | undefined;
  /** In the order of their positions, waiting for late ones in between. */
  readonly #pending: Pending[] = [];
  #newest = Number.NEGATIVE_INFINITY;
  /** The last that left `#pending`, and where its audio ends. */
  #previous: Pending | undefined;
  #end = Number.NEGATIVE_INFINITY;

  constructor(stream: StreamJournal) {
    this.#journal = new JournalSegments(stream.journalPaths, stream.openedAtMs);
    this.#payloadTypes = stream;
    this.report.segments = this.#journal.reports;
  }

  /**
   * All audio, once, in the order of time, without overlaps.
   * @throws NodeJS.ErrnoException if the journal cannot be read
   */
  *audio(): Generator<PlacedAudio, void, void> {
    const waiting: Packet[] = [];
    for (const packet of this.#packets()) {
      waiting.push(packet);
      for (let head = waiting[0]; head !== undefined; head = waiting[0]) {
        if (packet.arrival - head.arrival <= LOOKAHEAD && waiting.length <= MAX_LOOKAHEAD_PACKETS) break;
        waiting.shift();
        yield* this.#take(head, waiting);
      }
    }
    for (let head = waiting.shift(); head !== undefined; head = waiting.shift())
      yield* this.#take(head, waiting);
    yield* this.#release(Number.POSITIVE_INFINITY);

    this.report.unreadBytes = this.#journal.unreadBytes;
    for (const { sequences } of this.#sources.values()) this.report.lostPackets += sequences.lost;
    this.report.unauthenticPackets = this.#decryption.rtp.unauthentic;
    this.report.duplicatePackets += this.#decryption.rtp.replayed;
  }

  *#packets(): Generator<Packet, void, void> {
    const { report } = this;
    for (const { rtcp, arrivalMs, packet } of this.#journalPackets()) {
      const length = packet.length;
      if (rtcp || !isRtp(packet, length)) continue;
      const type = payloadType(packet);
      report.packets++;
      report.payloadTypes.add(type);
      report.firstPacketAt ??= arrivalMs;
      report.lastPacketAt = arrivalMs;

      const source = this.#source(ssrc(packet), timestamp(packet));
      // The difference as a signed number of 32 bits is the way across the wrap-around.
      source.timestamp += (timestamp(packet) - source.timestamp) | 0;
      const [start, end] = [payloadStart(packet, length), payloadEnd(packet, length)];
      const codec = this.#payloadTypes.codecs.get(type);
      const eventClockRate = this.#payloadTypes.telephoneEvents?.get(type);
      const hasContent = start < end && (codec !== undefined || eventClockRate !== undefined);
      const payload = hasContent ? Buffer.from(packet.subarray(start, end)) : NOTHING;
      yield {
        source,
        sequence: sequence(packet),
        timestamp: source.timestamp,
        arrival: arrivalMs * TICKS_PER_MS,
        segment: this.#journal.segment,
        skips: this.#journal.skips,
        audio: codec === undefined ? undefined : audioOf(codec, source.timestamp, payload),
        event: eventClockRate === undefined ? undefined : { clockRate: eventClockRate, payload },
      };
    }
  }

  #journalPackets(): Iterable<JournalPacket> {
    const { protection } = this.#payloadTypes;
    const packets = this.#journal.packets();
    return protection ? decryptJournalPackets(packets, protection, this.#decryption) : packets;
  }

  #source(id: number, firstTimestamp: number): Source {
    if (this.#lastSource?.ssrc === id) return this.#lastSource;
    const source = this.#sources.get(id) ?? {
      ssrc: id,
      sequences: new SequenceTracker(),
      timestamp: firstTimestamp,
      anchor: undefined,
      clockRate: undefined,
    };
    this.#sources.delete(id);
    this.#sources.set(id, source);
    this.#lastSource = source;
    if (this.report.ssrcs.size < MAX_TOLD_SSRCS) this.report.ssrcs.add(id);
    this.#forgetOldSources();
    return source;
  }

  #forgetOldSources(): void {
    if (this.#sources.size <= MAX_SOURCES) return;
    const [oldest] = this.#sources.values();
    if (oldest === undefined) return;
    this.report.lostPackets += oldest.sequences.lost;
    this.#sources.delete(oldest.ssrc);
  }

  /** @param following what arrived in the second after the packet */
  *#take(packet: Packet, following: readonly Packet[]): Generator<PlacedAudio, void, void> {
    const { source, event, arrival } = packet;
    if (isAudio(packet) && needsAnchor(packet, following)) {
      yield* this.#release(Number.POSITIVE_INFINITY);
      source.anchor = this.#newAnchor(packet, following);
      source.clockRate = packet.audio.clockRate;
      this.#newest = Number.NEGATIVE_INFINITY;
    }
    // Without audio the timestamp tells no position: that of an event is of its beginning, and stands still.
    const position = isAudio(packet) ? packet.audio.time + (source.anchor as number) : arrival;
    const extended = source.sequences.accept(packet.sequence, packet.timestamp, position);
    if (extended === undefined) {
      this.report.duplicatePackets++;
      return;
    }
    if (event !== undefined)
      this.telephoneEvents.take({
        ssrc: source.ssrc,
        timestamp: packet.timestamp,
        position: eventPosition(packet, event.clockRate),
        ...event,
      });
    // No packet comes before its time: this timestamp is broken.
    if (!isAudio(packet) || position - arrival > MAX_CONTRADICTION) return;
    const { codec, payload, duration } = packet.audio;
    const { segment, skips } = packet;
    const end = position + duration;
    this.#insert({ position, end, skip: 0, codec, payload, source, sequence: extended, segment, skips });
    this.#newest = Math.max(this.#newest, position);
    yield* this.#release(this.#newest - REORDER_WINDOW);
  }

  #newAnchor(packet: AudioPacket, following: readonly Packet[]): number {
    const anchor = leastAnchor(packet, following);
    // The delay of the network was not the same for the old anchor: that must not cut off audio.
    const overlap = this.#end - (packet.audio.time + anchor);
    return overlap > 0 && overlap <= REORDER_WINDOW ? anchor + overlap : anchor;
  }

  #insert(audio: Pending): void {
    let index = this.#pending.length;
    while (index > 0 && (this.#pending[index - 1] as Pending).position > audio.position) index--;
    this.#pending.splice(index, 0, audio);
  }

  /** Lets go what lies up to `position`, less what was covered already. */
  *#release(position: number): Generator<PlacedAudio, void, void> {
    for (
      let next = this.#pending[0];
      next !== undefined && next.position <= position;
      next = this.#pending[0]
    ) {
      this.#pending.shift();
      const { end, codec, payload } = next;
      const position = Math.max(next.position, this.#end);
      if (position >= end) continue;
      this.#listGap(next, position);
      this.#previous = next;
      this.#end = end;
      yield { position, end, skip: position - next.position, codec, payload };
    }
  }

  #listGap(next: Pending, start: number): void {
    const previous = this.#previous;
    if (previous === undefined || start - this.#end <= MAX_UNLISTED_GAP) return;
    this.report.gaps.add({ from: this.#end, to: start, cause: gapCause(previous, next) });
  }
}

function gapCause(previous: Pending, next: Pending): GapCause {
  if (previous.segment !== next.segment) return 'crash';
  if (previous.skips !== next.skips) return 'undecoded';
  const isLost =
    previous.source === next.source &&
    next.source.sequences.isMissingBetween(previous.sequence, next.sequence);
  return isLost ? 'lost' : 'not-sent';
}

const NOTHING = new Uint8Array();

const inTicks = (timestamp: number, clockRate: number): number => timestamp * (TICK_RATE / clockRate);

function audioOf(codec: CodecName, timestamp: number, payload: Uint8Array): Audio | undefined {
  const duration = payload.length === 0 ? 0 : payloadTicks(codec, payload);
  if (duration === 0) return undefined;
  const { clockRate } = CODECS[codec];
  return { codec, clockRate, time: inTicks(timestamp, clockRate), duration, payload };
}

const isAudio = (packet: Packet): packet is AudioPacket => packet.audio !== undefined;

/** By the timestamp where the audio around it has the same clock; an event's first packet may have been lost. */
function eventPosition({ source, timestamp, arrival }: Packet, clockRate: number): number {
  if (source.anchor === undefined || source.clockRate !== clockRate) return arrival;
  const position = inTicks(timestamp, clockRate) + source.anchor;
  return isNear(position, arrival) ? position : arrival;
}

const ownAnchor = ({ arrival, audio }: AudioPacket): number => arrival - audio.time;

const isNear = (position: number, other: number): boolean => Math.abs(position - other) <= MAX_CONTRADICTION;

const audioOfSameClock = (packet: AudioPacket, following: readonly Packet[]): AudioPacket[] =>
  following
    .filter(isAudio)
    .filter(({ source, audio }) => source === packet.source && audio.clockRate === packet.audio.clockRate);

/**
 * Contradicted by one packet an anchor still holds if later ones bear it out: then that packet came late, or its
 * timestamp is broken.
 */
function needsAnchor(packet: AudioPacket, following: readonly Packet[]): boolean {
  const { anchor, clockRate } = packet.source;
  if (anchor === undefined || clockRate !== packet.audio.clockRate) return true;
  if (isNear(anchor, ownAnchor(packet))) return false;
  return !audioOfSameClock(packet, following).some((later) => isNear(anchor, ownAnchor(later)));
}

function leastAnchor(packet: AudioPacket, following: readonly Packet[]): number {
  const own = ownAnchor(packet);
  return audioOfSameClock(packet, following)
    .map(ownAnchor)
    .filter((anchor) => isNear(anchor, own))
    .reduce((least, anchor) => Math.min(least, anchor), own);
}
