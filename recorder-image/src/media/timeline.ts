/**
 * Where the audio of one journal belongs in time.
 *
 * Within a stream the RTP timestamp decides: it is exact. What instant a timestamp means, the arrival times tell,
 * through an *anchor*: position = timestamp + anchor. The anchor is the least (arrival - timestamp) of a second of
 * packets, that of the packet with the least delay, so that the jitter of the first one doesn't shift the stream.
 * A new anchor is taken where the SSRC changes, and where a second of packets contradicts the old one by more than
 * two: the sender has set its timestamps anew, or stopped them in a pause.
 *
 * Positions are samples since the epoch (at 8000 Hz, the clock rate of G.711).
 */
import type { Gap } from '../../../core/manifest.ts';
import { G711_SAMPLE_RATE, type G711Codec } from './g711.ts';
import { JournalReader } from './journal.ts';
import { isRtp, payloadEnd, payloadStart, payloadType, sequence, ssrc, timestamp } from './rtp.ts';
import { SequenceTracker } from './sequence-tracker.ts';

const SAMPLES_PER_MS = G711_SAMPLE_RATE / 1000;

/** Packets of so much arrival time are looked at for an anchor. */
const LOOKAHEAD = 1000 * SAMPLES_PER_MS;
/** In a burst, after this process or the network stood still, no more than so many. */
const MAX_LOOKAHEAD_PACKETS = 2000;
/** Arrival and timestamp may differ by so much without doubt in the timestamp. */
const MAX_CONTRADICTION = 2000 * SAMPLES_PER_MS;
/** A packet that comes this much audio too late is left out. */
const REORDER_WINDOW = 500 * SAMPLES_PER_MS;
/** Longer gaps are listed. */
export const MAX_UNLISTED_GAP = 20 * SAMPLES_PER_MS;

export interface PlacedAudio {
  /** Of the first byte. */
  position: number;
  codec: G711Codec;
  /** One byte per sample. */
  payload: Uint8Array;
}

export interface PlacedGap {
  from: number;
  to: number;
  cause: Gap['cause'];
}

/** What a journal held. Complete when all its audio has been taken. Times are milliseconds since the epoch. */
export interface StreamReport {
  /** In the order of their first packet, as are the payload types. */
  ssrcs: Set<number>;
  payloadTypes: Set<number>;
  /** RTP, duplicates included. */
  packets: number;
  lostPackets: number;
  duplicatePackets: number;
  firstPacketAt?: number;
  lastPacketAt?: number;
  /** Between its first and last audio. */
  gaps: PlacedGap[];
  truncatedJournal: boolean;
}

/** One SSRC. */
interface Source {
  sequences: SequenceTracker;
  /** Last timestamp in the order of arrival, unwrapped beyond its 32 bits. */
  timestamp: number;
  anchor: number | undefined;
}

interface Packet {
  source: Source;
  sequence: number;
  /** Unwrapped. */
  timestamp: number;
  /** As a position. */
  arrival: number;
  /** Absent where the payload is not audio of a known codec: telephone events, comfort noise. */
  audio: { codec: G711Codec; payload: Uint8Array } | undefined;
}

interface Pending extends PlacedAudio {
  source: Source;
  /** Extended. */
  sequence: number;
}

export class StreamTimeline {
  readonly report: StreamReport = {
    ssrcs: new Set(),
    payloadTypes: new Set(),
    packets: 0,
    lostPackets: 0,
    duplicatePackets: 0,
    gaps: [],
    truncatedJournal: false,
  };
  readonly #journal: JournalReader;
  readonly #codecs: ReadonlyMap<number, G711Codec>;
  readonly #sources = new Map<number, Source>();
  /** In the order of their positions, waiting for late ones in between. */
  readonly #pending: Pending[] = [];
  #newest = Number.NEGATIVE_INFINITY;
  /** The last that left `#pending`, and where its audio ends. */
  #previous: Pending | undefined;
  #end = Number.NEGATIVE_INFINITY;

  /** @param codecs by payload type; others carry no audio */
  constructor(journalPath: string, codecs: ReadonlyMap<number, G711Codec>) {
    this.#journal = new JournalReader(journalPath);
    this.#codecs = codecs;
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

    this.report.truncatedJournal = this.#journal.truncatedAt !== undefined;
    for (const { sequences } of this.#sources.values()) this.report.lostPackets += sequences.lost;
  }

  *#packets(): Generator<Packet, void, void> {
    const { report } = this;
    for (const { rtcp, arrivalMs, packet } of this.#journal.packets()) {
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
      const codec = this.#codecs.get(type);
      const [start, end] = [payloadStart(packet, length), payloadEnd(packet, length)];
      yield {
        source,
        sequence: sequence(packet),
        timestamp: source.timestamp,
        arrival: arrivalMs * SAMPLES_PER_MS,
        audio:
          codec === undefined || start === end
            ? undefined
            : { codec, payload: Buffer.from(packet.subarray(start, end)) },
      };
    }
  }

  #source(id: number, firstTimestamp: number): Source {
    let source = this.#sources.get(id);
    if (source === undefined) {
      source = { sequences: new SequenceTracker(), timestamp: firstTimestamp, anchor: undefined };
      this.#sources.set(id, source);
      this.report.ssrcs.add(id);
    }
    return source;
  }

  /** @param following what arrived in the second after the packet */
  *#take(packet: Packet, following: readonly Packet[]): Generator<PlacedAudio, void, void> {
    const { source, audio, arrival } = packet;
    if (audio !== undefined && needsAnchor(packet, following)) {
      yield* this.#release(Number.POSITIVE_INFINITY);
      source.anchor = this.#newAnchor(packet, following);
      this.#newest = Number.NEGATIVE_INFINITY;
    }
    // The timestamp of an event is that of its beginning, and stands still: it tells no position.
    const position = audio === undefined ? arrival : packet.timestamp + (source.anchor as number);
    const extended = source.sequences.accept(packet.sequence, packet.timestamp, position);
    if (extended === undefined) {
      this.report.duplicatePackets++;
      return;
    }
    // No packet comes before its time: this timestamp is broken.
    if (audio === undefined || position - arrival > MAX_CONTRADICTION) return;
    this.#insert({ ...audio, position, source, sequence: extended });
    this.#newest = Math.max(this.#newest, position);
    yield* this.#release(this.#newest - REORDER_WINDOW);
  }

  #newAnchor(packet: Packet, following: readonly Packet[]): number {
    const anchor = leastAnchor(packet, following);
    // The delay of the network was not the same for the old anchor: that must not cut off audio.
    const overlap = this.#end - (packet.timestamp + anchor);
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
      const start = Math.max(next.position, this.#end);
      const covered = start - next.position;
      if (covered >= next.payload.length) continue;
      this.#listGap(next, start);
      this.#previous = next;
      this.#end = next.position + next.payload.length;
      yield { position: start, codec: next.codec, payload: next.payload.subarray(covered) };
    }
  }

  #listGap(next: Pending, start: number): void {
    const previous = this.#previous;
    if (previous === undefined || start - this.#end <= MAX_UNLISTED_GAP) return;
    const isLost =
      previous.source === next.source &&
      next.source.sequences.isMissingBetween(previous.sequence, next.sequence);
    this.report.gaps.push({ from: this.#end, to: start, cause: isLost ? 'lost' : 'not-sent' });
  }
}

const ownAnchor = ({ arrival, timestamp }: Packet): number => arrival - timestamp;

const isNear = (anchor: number, other: number): boolean => Math.abs(anchor - other) <= MAX_CONTRADICTION;

const audioOfSameSource = (packet: Packet, following: readonly Packet[]): Packet[] =>
  following.filter(({ source, audio }) => source === packet.source && audio !== undefined);

/**
 * Contradicted by one packet an anchor still holds if later ones bear it out: then that packet came late, or its
 * timestamp is broken.
 */
function needsAnchor(packet: Packet, following: readonly Packet[]): boolean {
  const { anchor } = packet.source;
  if (anchor === undefined) return true;
  if (isNear(anchor, ownAnchor(packet))) return false;
  return !audioOfSameSource(packet, following).some((later) => isNear(anchor, ownAnchor(later)));
}

function leastAnchor(packet: Packet, following: readonly Packet[]): number {
  const own = ownAnchor(packet);
  return audioOfSameSource(packet, following)
    .map(ownAnchor)
    .filter((anchor) => isNear(anchor, own))
    .reduce((least, anchor) => Math.min(least, anchor), own);
}
