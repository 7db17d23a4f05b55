/**
 * The receiver reports of one stream: when they are due, what they say, and where they go.
 *
 * They go where the peer's own RTCP comes from, through the socket that it came to (symmetric RTCP, RFC 4961);
 * before any has come, to the address that the SDP names, if that is where the media comes from. Nothing is sent
 * to an address that has not sent us media, for an offer could name anybody's.
 */

import { randomBytes, randomInt } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import type { AnswerCrypto } from '../sdp/crypto.ts';
import type { MediaSocket, Remote } from './receivers/receiver.ts';
import { Reception } from './reception.ts';
import { readRtcp, writeReceiverReport } from './rtcp.ts';
import { payloadType } from './rtp.ts';
import { SrtcpSender } from './srtp.ts';

/** What the SDP says of a stream's RTCP. */
export interface RtcpTerms {
  /** Where the peer receives RTCP: `a=rtcp`, or the port after the media's. */
  peer?: { address: string; port: number };
  /** Hz, by payload type, of audio; without one no jitter is measured. */
  clockRates?: ReadonlyMap<number, number>;
  /** The recorder's own key, where the stream is SRTP: reports are sent under it. Incoming SRTCP is not read here. */
  srtcp?: AnswerCrypto;
  /** The stream is SRTP, and the key is not known: a recorder goes on for one that died. Nothing is sent then. */
  encrypted?: boolean;
}

/** Whether the stream is SRTP. */
export const isEncrypted = ({ srtcp, encrypted = false }: RtcpTerms): boolean =>
  srtcp !== undefined || encrypted;

/** RFC 7022 4.2: random, and the same for all streams of a recorder as long as it runs. */
const CNAME = randomBytes(12).toString('base64');

/** RFC 3551 6: what needs no rtpmap. */
const STATIC_CLOCK_RATES: ReadonlyMap<number, number> = new Map([0, 8, 9, 18].map((type) => [type, 8000]));

/** RFC 3550 6.3.1: between half and one and a half times the interval, lest reports of many streams coincide. */
const randomised = (intervalMs: number): number => intervalMs * (0.5 + Math.random());

export class RtcpReporter {
  readonly reception = new Reception();
  /** Of the last BYE, milliseconds since the epoch. */
  byeAt: number | undefined;
  reportsSent = 0;
  readonly #intervalMs: number;
  readonly #socket: MediaSocket;
  readonly #onError: (error: Error) => void;
  #terms: RtcpTerms;
  #sender: SrtcpSender | undefined;
  #clockRates: ReadonlyMap<number, number>;
  #ssrc = newSsrc();
  #mediaAddress: string | undefined;
  #rtcpFrom: { socket: MediaSocket; remote: Remote } | undefined;
  #nextAtMs = Number.POSITIVE_INFINITY;

  /**
   * @param intervalMs between two reports, on average
   * @param socket the stream's RTCP socket
   * @param onError a report could not be sent
   */
  constructor(intervalMs: number, socket: MediaSocket, terms: RtcpTerms, onError: (error: Error) => void) {
    this.#intervalMs = intervalMs;
    this.#socket = socket;
    this.#onError = onError;
    this.#terms = terms;
    this.#clockRates = terms.clockRates ?? STATIC_CLOCK_RATES;
    this.#sender = terms.srtcp && new SrtcpSender(terms.srtcp);
  }

  /** A new offer. Where RTCP came from so far, it may not come from any more. */
  update(terms: RtcpTerms): void {
    // One sender per key: its index must never start anew.
    if (!isSameKey(this.#terms.srtcp, terms.srtcp))
      this.#sender = terms.srtcp && new SrtcpSender(terms.srtcp);
    this.#terms = terms;
    this.#clockRates = terms.clockRates ?? STATIC_CLOCK_RATES;
    this.#rtcpFrom = undefined;
  }

  onRtp(packet: Uint8Array, arrivalMs: number, remote: Remote): void {
    // RFC 3550 6.2: the first one after half the interval.
    if (this.#mediaAddress === undefined) this.#nextAtMs = arrivalMs + randomised(this.#intervalMs) / 2;
    this.#mediaAddress = remote.address;
    this.reception.receive(packet, arrivalMs, this.#clockRates.get(payloadType(packet)));
  }

  /** @param packet the whole packet and nothing more */
  onRtcp(packet: Uint8Array, arrivalMs: number, remote: Remote, socket: MediaSocket): void {
    this.#rtcpFrom = { socket, remote };
    if (isEncrypted(this.#terms)) return;
    for (const item of readRtcp(packet)) {
      if (item.type === 'sender-report') this.reception.senderReport(item.ssrc, item.ntpMiddle, arrivalMs);
      else {
        this.byeAt = arrivalMs;
        this.reception.bye(item.ssrc);
      }
    }
  }

  /** Sends a report if one is due. */
  tick(nowMs: number): void {
    if (nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + randomised(this.#intervalMs);
    const to = this.#destination();
    if (to === undefined || (isEncrypted(this.#terms) && !this.#sender)) return;
    // RFC 3550 8.2: of two that chose one SSRC, one has to choose another.
    while (this.reception.has(this.#ssrc)) this.#ssrc = newSsrc();
    const report = writeReceiverReport(this.#ssrc, CNAME, this.reception.reportBlocks(nowMs));
    to.socket.send(this.#sender?.protect(report) ?? report, to.remote, (error) => {
      if (error) this.#onError(error);
      else this.reportsSent++;
    });
  }

  #destination(): { socket: MediaSocket; remote: Remote } | undefined {
    const { peer } = this.#terms;
    const mediaAddress = this.#mediaAddress as string;
    if (this.#rtcpFrom !== undefined) return this.#rtcpFrom;
    if (peer === undefined || !isSameAddress(peer.address, mediaAddress)) return undefined;
    return { socket: this.#socket, remote: { address: mediaAddress, port: peer.port } };
  }
}

const isSameKey = (one: AnswerCrypto | undefined, other: AnswerCrypto | undefined): boolean =>
  one === other ||
  (one !== undefined && other?.suite === one.suite && other.keyAndSalt.equals(one.keyAndSalt));

const newSsrc = (): number => randomInt(2 ** 32);

/** In whatever way they are written, and also where a dual-stack socket writes IPv4 as IPv6. */
function isSameAddress(one: string, other: string): boolean {
  if (!ipaddr.isValid(one) || !ipaddr.isValid(other)) return false;
  return ipaddr.process(one).toString() === ipaddr.process(other).toString();
}
