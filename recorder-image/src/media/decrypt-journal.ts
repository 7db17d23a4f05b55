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
 * What a packet is under, its tag tells better than the clock: media may be ahead of the signalling, or late. So every
 * keying is tried, the last that fitted first. A packet under none stands as it is if the offer of its time asked
 * for no encryption; otherwise it is left out. Replayed packets are left out, and network duplicates with them.
 * @param periods at least one, in the order of time
 * @param report is added to
 */
export function* decryptJournalPackets(
  packets: Iterable<JournalPacket>,
  periods: readonly ProtectionPeriod[],
  report: DecryptionReport,
): Generator<JournalPacket, void, void> {
  // Most re-INVITEs repeat the keys; rollover counters and replay lists go on then.
  const keyings = periods
    .flatMap(({ keying }) => keying ?? [])
    .filter((keying, index, all) => all.findIndex((other) => sameKeying(keying, other)) === index);
  const receivers = keyings.map((keying) => new SrtpReceiver(keying));

  for (const journalPacket of packets) {
    const result = unprotect(receivers, journalPacket);
    if (typeof result !== 'string') {
      journalPacket.packet = result;
      yield journalPacket;
    } else if (result === 'unauthentic' && isPlainAt(periods, journalPacket.arrivalMs)) {
      yield journalPacket;
    } else {
      report[journalPacket.rtcp ? 'rtcp' : 'rtp'][result]++;
    }
  }
}

/** Moves the receiver that knew the packet to the front. */
function unprotect(receivers: SrtpReceiver[], { packet, rtcp }: JournalPacket): Uint8Array | SrtpRejection {
  for (const [index, receiver] of receivers.entries()) {
    const result = receiver.unprotect(packet, rtcp);
    if (result === 'unauthentic') continue;
    if (index > 0) receivers.unshift(...receivers.splice(index, 1));
    return result;
  }
  return 'unauthentic';
}

/** Whether a period without encryption was on at a time, or had just ended. Nothing comes before the first one. */
const isPlainAt = (periods: readonly ProtectionPeriod[], timeMs: number): boolean =>
  periods.some(({ fromMs, keying }, index) => {
    const hasBegun = index === 0 || fromMs <= timeMs;
    const endMs = (periods[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY) + HANDOVER_MS;
    return keying === undefined && hasBegun && timeMs < endMs;
  });
