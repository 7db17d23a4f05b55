/**
 * How well a stream is received, by the rules of RFC 3550: loss (A.1, A.3) and jitter (A.8) of each source, for
 * receiver reports and counters. Runs for every packet, and allocates nothing but for a new source.
 */
import { sequence, ssrc, timestamp } from './rtp.ts';

/** RFC 3550 A.1: a sequence number may be so far ahead, or so far behind, and still be of the same run. */
const MAX_DROPOUT = 3000;
const MAX_MISORDER = 100;
const SEQUENCES = 0x1_0000;

/** A report has room for 31 (RFC 3550 6.4.1); beyond that the oldest source is forgotten. */
const MAX_SOURCES = 31;

/** The `report block` of RFC 3550 6.4.1, in its units. */
export interface ReportBlock {
  ssrc: number;
  fractionLost: number;
  cumulativeLost: number;
  extendedHighestSequence: number;
  jitter: number;
  lastSenderReport: number;
  delaySinceLastSenderReport: number;
}

class Source {
  readonly ssrc: number;
  highest: number;
  /** Wraps of the 16 bits, times 65536. */
  cycles = 0;
  first: number;
  received = 0;
  /** The number that would begin another run. */
  restartAt = -1;
  lostInEarlierRuns = 0;
  expectedAtReport = 0;
  receivedAtReport = 0;
  /** In steps of the clock; NaN before there are two packets of it. */
  transit = Number.NaN;
  jitter = 0;
  clockRate = 0;
  heardSinceReport = false;
  senderReport = 0;
  senderReportAtMs = 0;

  constructor(id: number, firstSequence: number) {
    this.ssrc = id;
    this.highest = firstSequence;
    this.first = firstSequence;
  }

  count(number: number): void {
    const ahead = (number - this.highest) & 0xffff;
    if (ahead < MAX_DROPOUT) {
      if (number < this.highest) this.cycles += SEQUENCES;
      this.highest = number;
    } else if (ahead <= SEQUENCES - MAX_MISORDER) {
      // Two in order make a new run; a single stray one makes none.
      if (number !== this.restartAt) {
        this.restartAt = (number + 1) & 0xffff;
        return;
      }
      this.#restart(number);
    }
    this.received++;
  }

  #restart(number: number): void {
    this.lostInEarlierRuns += Math.max(0, this.expected - this.received);
    this.highest = number;
    this.first = number;
    this.cycles = 0;
    this.received = 0;
    this.restartAt = -1;
    this.expectedAtReport = 0;
    this.receivedAtReport = 0;
  }

  get expected(): number {
    return this.cycles + this.highest - this.first + 1;
  }

  /** Negative if there were more duplicates than losses. */
  get lost(): number {
    return this.lostInEarlierRuns + this.expected - this.received;
  }

  measureJitter(time: number, clockRate: number, arrivalMs: number): void {
    // Both wrap around at 32 bits, and so does their difference.
    const transit = (Math.floor((arrivalMs * clockRate) / 1000) - time) | 0;
    if (clockRate === this.clockRate) {
      const change = Math.abs((transit - this.transit) | 0);
      this.jitter += (change - this.jitter) / 16;
    } else {
      this.clockRate = clockRate;
      this.jitter = 0;
    }
    this.transit = transit;
  }
}

export class Reception {
  /** By SSRC, in the order of their first packet. */
  readonly #sources = new Map<number, Source>();
  #latest: Source | undefined;
  #lostOfForgotten = 0;

  /**
   * @param packet an RTP packet
   * @param clockRate Hz; undefined for what is not sent at a steady pace (telephone events): no jitter is measured
   */
  receive(packet: Uint8Array, arrivalMs: number, clockRate: number | undefined): void {
    const id = ssrc(packet);
    const source = this.#latest?.ssrc === id ? this.#latest : this.#source(id, sequence(packet));
    this.#latest = source;
    source.heardSinceReport = true;
    source.count(sequence(packet));
    if (clockRate !== undefined) source.measureJitter(timestamp(packet), clockRate, arrivalMs);
  }

  /** @param ntpMiddle the middle 32 bits of the report's NTP timestamp */
  senderReport(id: number, ntpMiddle: number, arrivalMs: number): void {
    const source = this.#sources.get(id);
    if (source === undefined) return;
    source.senderReport = ntpMiddle;
    source.senderReportAtMs = arrivalMs;
  }

  /** The source has said that it ends; a packet of it makes it known again (RFC 3550 6.3.4). */
  bye(id: number): void {
    const source = this.#sources.get(id);
    if (source !== undefined) this.#forget(source);
  }

  has(id: number): boolean {
    return this.#sources.has(id);
  }

  /** Packets that have not come, of all sources. */
  get lostPackets(): number {
    let lost = this.#lostOfForgotten;
    for (const source of this.#sources.values()) lost += Math.max(0, source.lost);
    return lost;
  }

  /** Of the source heard last, in milliseconds. */
  get jitterMs(): number {
    const { jitter = 0, clockRate = 0 } = this.#latest ?? {};
    return clockRate === 0 ? 0 : (jitter / clockRate) * 1000;
  }

  /** What to report of the sources heard since the last call. */
  reportBlocks(nowMs: number): ReportBlock[] {
    const heard = [...this.#sources.values()].filter((source) => source.heardSinceReport);
    return heard.map((source) => reportBlock(source, nowMs));
  }

  #source(id: number, firstSequence: number): Source {
    const known = this.#sources.get(id);
    if (known !== undefined) return known;
    const [oldest] = this.#sources.values();
    if (oldest !== undefined && this.#sources.size >= MAX_SOURCES) this.#forget(oldest);
    const source = new Source(id, firstSequence);
    this.#sources.set(id, source);
    return source;
  }

  #forget(source: Source): void {
    this.#lostOfForgotten += Math.max(0, source.lost);
    this.#sources.delete(source.ssrc);
    if (this.#latest === source) this.#latest = undefined;
  }
}

/** RFC 3550 A.3; begins the next interval. */
function reportBlock(source: Source, nowMs: number): ReportBlock {
  const { expected, received, senderReport } = source;
  const expectedNow = expected - source.expectedAtReport;
  const lostNow = expectedNow - (received - source.receivedAtReport);
  source.expectedAtReport = expected;
  source.receivedAtReport = received;
  source.heardSinceReport = false;
  return {
    ssrc: source.ssrc,
    fractionLost:
      expectedNow > 0 && lostNow > 0 ? Math.min(255, Math.floor((lostNow * 256) / expectedNow)) : 0,
    cumulativeLost: Math.max(-0x80_0000, Math.min(0x7f_ffff, source.lost)),
    extendedHighestSequence: (source.cycles + source.highest) % 2 ** 32,
    jitter: Math.floor(source.jitter),
    lastSenderReport: senderReport,
    delaySinceLastSenderReport:
      senderReport === 0 ? 0 : Math.round(((nowMs - source.senderReportAtMs) / 1000) * 65_536),
  };
}
