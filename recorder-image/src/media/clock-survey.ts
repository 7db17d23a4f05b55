/**
 * What instants the timestamps of a stream mean, learned from all its packets before any is placed.
 *
 * Arrival - timestamp is the delay of the network plus a constant, which is what we want, and the drift of the sender's
 * clock. Of some seconds of packets the least tells it: that of the packet with the least delay; jitter and bursts leave
 * it as it is. A median over neighbouring windows leaves out those in which every packet was late.
 *
 * A new *period* begins where the SSRC or the clock rate changes, after a long pause, and where a second of packets
 * contradicts the old one by more than two: the sender has set its timestamps anew, or stopped them in a pause.
 */

import { PacketQueue } from './packet-queue.ts';
import { readRtcp } from './rtcp.ts';
import {
  type AudioPacket,
  inTicks,
  isAudio,
  type Source,
  type StreamJournal,
  StreamPackets,
} from './stream-packets.ts';
import { TICK_RATE, TICKS_PER_MS } from './ticks.ts';

/** Packets of so much arrival time bear a contradiction out. */
const LOOKAHEAD = 1000 * TICKS_PER_MS;
/** In a burst, after this process or the network stood still, no more than so many. */
const MAX_LOOKAHEAD_PACKETS = 2000;
/** Packets that waited while this process or the network stood still come so much faster than they were sent, in a second. */
const CATCHING_UP = 250 * TICKS_PER_MS;
/** Arrival and timestamp may differ by so much without doubt in the timestamp. */
export const MAX_CONTRADICTION = 2000 * TICKS_PER_MS;

/** What drift there was in such a pause no packet tells. */
const LONG_PAUSE = 10_000 * TICKS_PER_MS;
/** A window has both: 10 s, and as many packets as 2 s have without a pause. */
const WINDOW = 10_000 * TICKS_PER_MS;
const WINDOW_PACKETS = 100;
/** Windows on either side that the median is taken of. */
const MEDIAN_RADIUS = 3;
/** A packet that is so much earlier than all others has a broken timestamp. */
const MAX_LEAD = 100 * TICKS_PER_MS;
/** More frequent reports tell nothing more. */
const MIN_REPORT_INTERVAL = 1000 * TICKS_PER_MS;
/** A stream whose SSRC changes with every packet is not worth more; what has no period is placed by its arrival. */
const MAX_PERIODS = 10_000;

/** Both in ticks: last arrival in it, and arrival - timestamp without delay. */
export interface ClockWindow {
  until: number;
  offset: number;
}

/** What a sender report says: its time of arrival, and NTP - RTP timestamp, in ticks. */
export interface ClockReport {
  arrival: number;
  offset: number;
}

export interface ClockPeriod {
  /** Ordinal of its first packet. */
  fromPacket: number;
  ssrc: number;
  /** Hz. */
  clockRate: number;
  /** At least one. */
  windows: ClockWindow[];
  reports: ClockReport[];
}

export interface StreamClock {
  /** In the order of their first packets. */
  periods: ClockPeriod[];
  /** By SSRC: the same name in two streams says that they come from one clock (RFC 3550 6.5.1). */
  cnames: Map<number, string>;
  /** Interarrival jitter (RFC 3550 A.8) at its highest. */
  jitterMs: number;
}

/** One SSRC. */
interface SourceState {
  period: ClockPeriod | undefined;
  clockRate: number;
  /** Of the present window, or the last one: against it contradictions are told. */
  anchor: number;
  windowFrom: number;
  lastArrival: number;
  packets: number;
  least: number;
  secondLeast: number;
  /** Arrival - timestamp of the last packet that had waited with others. */
  backlog: number;
  /** Both of RFC 3550 A.8, in ticks. */
  transit: number | undefined;
  jitter: number;
}

/** Reads the whole stream. @throws NodeJS.ErrnoException if the journal cannot be read */
export function surveyClock(stream: StreamJournal): StreamClock {
  const survey = new ClockSurvey();
  const waiting = new PacketQueue<AudioPacket>();
  const packets = new StreamPackets(stream).read((packet, arrival, find) =>
    survey.takeRtcp(packet, arrival, find),
  );
  for (const packet of packets) {
    if (!isAudio(packet)) continue;
    waiting.add(packet);
    for (let head = waiting.first; head !== undefined; head = waiting.first) {
      if (packet.arrival - head.arrival <= LOOKAHEAD && waiting.length <= MAX_LOOKAHEAD_PACKETS) break;
      waiting.takeFirst();
      survey.take(head, waiting);
    }
  }
  for (let head = waiting.takeFirst(); head !== undefined; head = waiting.takeFirst())
    survey.take(head, waiting);
  return survey.finish();
}

class ClockSurvey {
  readonly #periods: ClockPeriod[] = [];
  readonly #cnames = new Map<number, string>();
  readonly #states = new Map<number, SourceState>();
  #maxJitter = 0;

  /** @param following what arrived in the second after the packet */
  take(packet: AudioPacket, following: Iterable<AudioPacket>): void {
    const { source, arrival, audio } = packet;
    const own = ownAnchor(packet);
    const known = this.#states.get(source.ssrc);
    const before = known?.clockRate === audio.clockRate ? known : undefined;
    const isContradicted = before !== undefined && !isNear(before.anchor, own);
    if (isContradicted && isBorneOut(before, packet, following)) {
      before.lastArrival = arrival;
      return;
    }
    if (isContradicted && isBacklog(before, packet, following)) {
      before.lastArrival = arrival;
      before.backlog = own;
      return;
    }
    const goesOn = before !== undefined && !isContradicted && arrival - before.lastArrival <= LONG_PAUSE;
    const state = goesOn ? before : this.#begin(packet, following);
    state.lastArrival = arrival;
    state.packets++;
    if (own < state.least) {
      state.secondLeast = state.least;
      state.least = own;
    } else if (own < state.secondLeast) state.secondLeast = own;
    this.#measureJitter(state, own);
    const { period } = state;
    if (period === undefined || state.packets < WINDOW_PACKETS || arrival - state.windowFrom < WINDOW) return;
    closeWindow(state, period, arrival);
    state.windowFrom = arrival;
  }

  /** RFC 3550 6.4.1: sender reports; 6.5.1: names. */
  takeRtcp(packet: Uint8Array, arrival: number, find: (ssrc: number) => Source | undefined): void {
    for (const item of readRtcp(packet)) {
      if (item.type === 'cname' && find(item.ssrc)) this.#cnames.set(item.ssrc, item.cname);
      if (item.type !== 'sender-report' || item.ntpSeconds === 0) continue;
      const period = this.#states.get(item.ssrc)?.period;
      const source = find(item.ssrc);
      if (period === undefined || source === undefined) continue;
      if (arrival - (period.reports.at(-1)?.arrival ?? 0) < MIN_REPORT_INTERVAL) continue;
      const timestamp = source.timestamp + ((item.rtpTimestamp - source.timestamp) | 0);
      const offset = item.ntpSeconds * TICK_RATE - inTicks(timestamp, period.clockRate);
      period.reports.push({ arrival, offset });
    }
  }

  finish(): StreamClock {
    for (const state of this.#states.values()) endPeriod(state);
    for (const period of this.#periods) period.windows = smoothed(period.windows);
    return {
      periods: this.#periods,
      cnames: this.#cnames,
      jitterMs: Math.round((this.#maxJitter / TICKS_PER_MS) * 100) / 100,
    };
  }

  #begin(packet: AudioPacket, following: Iterable<AudioPacket>): SourceState {
    const { ssrc } = packet.source;
    const { clockRate } = packet.audio;
    const before = this.#states.get(ssrc);
    if (before !== undefined) endPeriod(before);
    const period =
      this.#periods.length < MAX_PERIODS
        ? { fromPacket: packet.ordinal, ssrc, clockRate, windows: [], reports: [] }
        : undefined;
    if (period !== undefined) this.#periods.push(period);
    const state: SourceState = {
      period,
      clockRate,
      anchor: leastAnchor(packet, following),
      windowFrom: packet.arrival,
      lastArrival: packet.arrival,
      packets: 0,
      least: Number.POSITIVE_INFINITY,
      secondLeast: Number.POSITIVE_INFINITY,
      backlog: Number.NEGATIVE_INFINITY,
      transit: undefined,
      jitter: 0,
    };
    if (this.#states.size >= MAX_PERIODS) this.#forgetSources();
    this.#states.set(ssrc, state);
    return state;
  }

  #forgetSources(): void {
    for (const state of this.#states.values()) endPeriod(state);
    this.#states.clear();
    this.#cnames.clear();
  }

  #measureJitter(state: SourceState, transit: number): void {
    if (state.transit !== undefined) state.jitter += (Math.abs(transit - state.transit) - state.jitter) / 16;
    state.transit = transit;
    if (state.jitter > this.#maxJitter) this.#maxJitter = state.jitter;
  }
}

function closeWindow(state: SourceState, period: ClockPeriod, until: number): void {
  const isBroken = state.secondLeast - state.least > MAX_LEAD && state.packets > 2;
  state.anchor = isBroken ? state.secondLeast : state.least;
  period.windows.push({ until, offset: state.anchor });
  state.packets = 0;
  state.least = Number.POSITIVE_INFINITY;
  state.secondLeast = Number.POSITIVE_INFINITY;
}

/** The rest of a window tells nothing that the windows before have not told better. */
function endPeriod(state: SourceState): void {
  const { period } = state;
  if (period !== undefined && period.windows.length === 0)
    closeWindow(state, period, Number.POSITIVE_INFINITY);
}

const smoothed = (windows: readonly ClockWindow[]): ClockWindow[] =>
  windows.map(({ until }, index) => {
    // At the ends a median of few, so that it does not lag behind the drift.
    const radius = Math.max(1, Math.min(MEDIAN_RADIUS, index, windows.length - 1 - index));
    const from = Math.max(0, Math.min(index - radius, windows.length - 1 - 2 * radius));
    const offsets = windows
      .slice(from, Math.max(index, from + 2 * radius) + 1)
      .map(({ offset }) => offset)
      .sort((one, other) => one - other);
    const median = offsets[(offsets.length - 1) >> 1] as number;
    return { until, offset: median };
  });

const ownAnchor = ({ arrival, audio }: AudioPacket): number => arrival - audio.time;

const isNear = (position: number, other: number): boolean => Math.abs(position - other) <= MAX_CONTRADICTION;

const audioOfSameClock = (packet: AudioPacket, following: Iterable<AudioPacket>): AudioPacket[] =>
  [...following].filter(
    ({ source, audio }) => source === packet.source && audio.clockRate === packet.audio.clockRate,
  );

/**
 * Contradicted by one packet an anchor still holds if later ones bear it out: then that packet came late, or its
 * timestamp is broken.
 */
const isBorneOut = (
  { anchor }: SourceState,
  packet: AudioPacket,
  following: Iterable<AudioPacket>,
): boolean => audioOfSameClock(packet, following).some((later) => isNear(anchor, ownAnchor(later)));

/**
 * Packets that all come late, and less and less so, have waited: their timestamps are right. Those of a sender that has set
 * its timestamps anew, or stopped them, keep their distance.
 */
function isBacklog(
  { anchor, backlog }: SourceState,
  packet: AudioPacket,
  following: Iterable<AudioPacket>,
): boolean {
  const own = ownAnchor(packet);
  if (own < anchor) return false;
  if (own <= backlog) return true;
  let [least, secondLeast] = [own, own]; // the least may have a broken timestamp
  for (const later of audioOfSameClock(packet, following).map(ownAnchor))
    if (later < least) [least, secondLeast] = [later, least];
    else if (later < secondLeast) secondLeast = later;
  return own - secondLeast > CATCHING_UP;
}

function leastAnchor(packet: AudioPacket, following: Iterable<AudioPacket>): number {
  const own = ownAnchor(packet);
  return audioOfSameClock(packet, following)
    .map(ownAnchor)
    .filter((anchor) => isNear(anchor, own))
    .reduce((least, anchor) => Math.min(least, anchor), own);
}
