/**
 * The packets of a journal, decrypted. The journal keeps them as they came; the offers tell what they came under.
 */
import { type SrtpKeying, sameKeying } from '../sdp/crypto.ts';
import type { JournalPacket } from './journal.ts';
import { SrtpReceiver, type SrtpRejection } from './srtp.ts';
import type { SrtpProtocol } from './srtp-transform.ts';

/** What an offer asked for, until the next one. Can be posted to a worker thread. */
export interface ProtectionPeriod {
  /** When the offer came, milliseconds since the epoch. */
  fromMs: number;
  /** Absent if the stream was RTP/AVP. */
  keying?: SrtpKeying;
}

/** How many packets were left out: under none of the keys, or seen before. */
export type DecryptionReport = Record<SrtpProtocol, Record<SrtpRejection, number>>;

export const emptyDecryptionReport = (): DecryptionReport => ({
  rtp: { unauthentic: 0, replayed: 0 },
  rtcp: { unauthentic: 0, replayed: 0 },
});

/** Between an offer that turns encryption on, and the answer at the SRC, what comes is still plain. */
const HANDOVER_MS = 2000;

/**
 * Decrypts the packets of one stream. What a packet is under, its tag tells better than the clock: media may be ahead of
 * the signalling, or late. So every keying is tried, the last that fitted first. A packet under none stands as it is if
 * the offer of its time asked for no encryption; otherwise it is left out. Replayed packets are left out, and network
 * duplicates with them.
 */
export class StreamDecryption {
  #periods: readonly ProtectionPeriod[] = [];
  readonly #receivers: { keying: SrtpKeying; receiver: SrtpReceiver }[] = [];

  /** @param periods at least one, in the order of time */
  constructor(periods: readonly ProtectionPeriod[]) {
    this.update(periods);
  }

  /**
   * Another offer came. Most repeat the keys: rollover counters and replay lists go on then.
   * @param periods all of them so far
   */
  update(periods: readonly ProtectionPeriod[]): void {
    this.#periods = periods;
    for (const { keying } of periods)
      if (keying && !this.#receivers.some((known) => sameKeying(keying, known.keying)))
        this.#receivers.push({ keying, receiver: new SrtpReceiver(keying) });
  }

  /** The packet in clear, or why it is left out. */
  unprotect(packet: Uint8Array, rtcp: boolean, arrivalMs: number): Uint8Array | SrtpRejection {
    const result = this.#decrypt(packet, rtcp);
    return result === 'unauthentic' && isPlainAt(this.#periods, arrivalMs) ? packet : result;
  }

  /** Moves the receiver that knew the packet to the front. */
  #decrypt(packet: Uint8Array, rtcp: boolean): Uint8Array | SrtpRejection {
    for (const [index, { receiver }] of this.#receivers.entries()) {
      const result = receiver.unprotect(packet, rtcp);
      if (result === 'unauthentic') continue;
      if (index > 0) this.#receivers.unshift(...this.#receivers.splice(index, 1));
      return result;
    }
    return 'unauthentic';
  }
}

/**
 * @param periods at least one, in the order of time
 * @param report is added to
 */
export function* decryptJournalPackets(
  packets: Iterable<JournalPacket>,
  periods: readonly ProtectionPeriod[],
  report: DecryptionReport,
): Generator<JournalPacket, void, void> {
  const decryption = new StreamDecryption(periods);
  for (const journalPacket of packets) {
    const { packet, rtcp, arrivalMs } = journalPacket;
    const result = decryption.unprotect(packet, rtcp, arrivalMs);
    if (typeof result === 'string') report[rtcp ? 'rtcp' : 'rtp'][result]++;
    else {
      journalPacket.packet = result;
      yield journalPacket;
    }
  }
}

/** Whether a period without encryption was on at a time, or had just ended. Nothing comes before the first one. */
const isPlainAt = (periods: readonly ProtectionPeriod[], timeMs: number): boolean =>
  periods.some(({ fromMs, keying }, index) => {
    const hasBegun = index === 0 || fromMs <= timeMs;
    const endMs = (periods[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY) + HANDOVER_MS;
    return keying === undefined && hasBegun && timeMs < endMs;
  });
