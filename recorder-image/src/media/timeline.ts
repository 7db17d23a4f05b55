/**
 * Where the audio of one stream belongs in time. What is known of its senders goes on from segment to segment.
 *
 * Within a stream the RTP timestamp decides: it is exact. What instant a timestamp means, the survey of its clock has
 * told (`clock-survey.ts`): position = timestamp + anchor.
 *
 * Positions and durations are ticks (`ticks.ts`), positions since the epoch.
 */
import type { GapCause } from '../../../core/manifest.ts';
import { CODECS, type CodecName } from '../sdp/codecs.ts';
import { ClockFollower } from './clock-follower.ts';
import { type ClockPeriod, MAX_CONTRADICTION, type StreamClock } from './clock-survey.ts';
import { GapList } from './gap-list.ts';
import type { SegmentReport } from './journal-segments.ts';
import {
  type AudioPacket,
  inTicks,
  isAudio,
  type Source,
  type StreamJournal,
  type StreamPacket,
  StreamPackets,
} from './stream-packets.ts';
import { TelephoneEvents } from './telephone-event.ts';
import { TICK_RATE, TICKS_PER_MS } from './ticks.ts';

/** A packet that comes this much audio too late is left out. */
const REORDER_WINDOW = 500 * TICKS_PER_MS;
/** Longer gaps are listed. */
export const MAX_UNLISTED_GAP = 20 * TICKS_PER_MS;

export interface PlacedAudio {
  /** Of the first audio that is to be heard. */
  position: number;
  end: number;
  /** Audio at the beginning of the payload that an earlier packet covers. */
  skip: number;
  codec: CodecName;
  /** Empty where payloads were not asked for. */
  payload: Uint8Array;
}

/** What a journal held. Times are milliseconds since the epoch. */
export interface StreamReport {
  /** In the order of their first packet, as are the payload types. */
  ssrcs: ReadonlySet<number>;
  payloadTypes: ReadonlySet<number>;
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

interface Pending extends PlacedAudio {
  source: Source;
  /** Extended. */
  sequence: number;
  segment: number;
  skips: number;
}

export class StreamTimeline {
  /** Complete when all audio has been taken. */
  readonly telephoneEvents = new TelephoneEvents();
  readonly #packets: StreamPackets;
  readonly #periods: readonly ClockPeriod[];
  #begunPeriods = 0;
  readonly #withPayloads: boolean;
  readonly #gaps = new GapList();
  #duplicates = 0;
  /** In the order of their positions, waiting for late ones in between. */
  readonly #pending: Pending[] = [];
  #newest = Number.NEGATIVE_INFINITY;
  /** The last that left `#pending`, and where its audio ends. */
  #previous: Pending | undefined;
  #end = Number.NEGATIVE_INFINITY;

  /** @param withPayloads false where only the places are of interest */
  constructor(stream: StreamJournal, { periods }: StreamClock, withPayloads: boolean) {
    this.#packets = new StreamPackets(stream);
    this.#periods = periods;
    this.#withPayloads = withPayloads;
  }

  /** Complete when all audio has been taken. */
  get report(): StreamReport {
    const { ssrcs, payloadTypes, packets, lostPackets, decryption, journal } = this.#packets;
    const { firstPacketAt, lastPacketAt } = this.#packets;
    return {
      ssrcs,
      payloadTypes,
      packets,
      lostPackets,
      duplicatePackets: this.#duplicates + decryption.rtp.replayed,
      unauthenticPackets: decryption.rtp.unauthentic,
      ...(firstPacketAt !== undefined && { firstPacketAt }),
      ...(lastPacketAt !== undefined && { lastPacketAt }),
      gaps: this.#gaps,
      segments: journal.reports,
      unreadBytes: journal.unreadBytes,
    };
  }

  /**
   * All audio, once, in the order of time, without overlaps.
   * @throws NodeJS.ErrnoException if the journal cannot be read
   */
  *audio(): Generator<PlacedAudio, void, void> {
    for (const packet of this.#packets.read()) {
      if (this.#periods[this.#begunPeriods]?.fromPacket === packet.ordinal) {
        yield* this.#release(Number.POSITIVE_INFINITY);
        this.#beginPeriod(packet);
      }
      this.#take(packet);
      if ((this.#pending[0]?.position ?? Number.POSITIVE_INFINITY) <= this.#newest - REORDER_WINDOW)
        yield* this.#release(this.#newest - REORDER_WINDOW);
    }
    yield* this.#release(Number.POSITIVE_INFINITY);
  }

  #beginPeriod({ source, timestamp }: StreamPacket): void {
    const period = this.#periods[this.#begunPeriods++] as ClockPeriod;
    const begun = ClockFollower.after(source.clock, period);
    // The delay of the network was not the same for what came before: that must not cut off audio.
    const overlap = this.#end - inTicks(timestamp, period.clockRate) - begun.anchor;
    const isShifted = overlap > 0 && overlap <= REORDER_WINDOW;
    source.clock = isShifted ? new ClockFollower(period, begun.anchor + overlap) : begun;
    this.#newest = Number.NEGATIVE_INFINITY;
  }

  #take(packet: StreamPacket): void {
    const { source, arrival, eventClockRate } = packet;
    // Without audio the timestamp tells no position: that of an event is of its beginning, and stands still.
    const position = isAudio(packet) ? this.#positionOf(packet) : arrival;
    const extended = source.sequences.accept(packet.sequence, packet.timestamp, position);
    if (extended === undefined) {
      this.#duplicates++;
      return;
    }
    if (eventClockRate !== undefined)
      this.telephoneEvents.take({
        ssrc: source.ssrc,
        timestamp: packet.timestamp,
        position: eventPosition(packet, eventClockRate),
        clockRate: eventClockRate,
        payload: packet.payload,
      });
    // No packet comes before its time: this timestamp is broken.
    if (!isAudio(packet) || position - arrival > MAX_CONTRADICTION) return;
    this.#insert({
      position,
      end: position + packet.audio.duration,
      skip: 0,
      codec: packet.audio.codec,
      payload: this.#withPayloads ? Buffer.from(packet.payload) : NOTHING,
      source,
      sequence: extended,
      segment: packet.segment,
      skips: packet.skips,
    });
    this.#newest = Math.max(this.#newest, position);
  }

  #positionOf({ source: { clock }, arrival, audio }: AudioPacket): number {
    if (clock === undefined || clock.clockRate !== audio.clockRate) return arrival;
    const position = audio.time + clock.anchor;
    if (position - arrival > MAX_CONTRADICTION) return position;
    const sample = TICK_RATE / CODECS[audio.codec].sampleRate;
    const isFirst = this.#newest === Number.NEGATIVE_INFINITY;
    return audio.time + clock.follow(audio.time, arrival, sample, isFirst ? 0 : position - this.#newest);
  }

  #insert(audio: Pending): void {
    const pending = this.#pending;
    let index = pending.length;
    while (index > 0 && (pending[index - 1] as Pending).position > audio.position) index--;
    if (index === pending.length) pending.push(audio);
    else pending.splice(index, 0, audio);
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
    this.#gaps.add({ from: this.#end, to: start, cause: gapCause(previous, next) });
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

const isNear = (position: number, other: number): boolean => Math.abs(position - other) <= MAX_CONTRADICTION;

/** By the timestamp where the audio around it has the same clock; an event's first packet may have been lost. */
function eventPosition({ source: { clock }, timestamp, arrival }: StreamPacket, clockRate: number): number {
  if (clock === undefined || clock.clockRate !== clockRate) return arrival;
  const position = inTicks(timestamp, clockRate) + clock.anchor;
  return isNear(position, arrival) ? position : arrival;
}
