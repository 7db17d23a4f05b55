/**
 * Whether the packets of a socket come steadily from one source, and when the next one is to be expected. Times are those of
 * `performance.now()`.
 */
import { ssrc } from '../rtp.ts';
import type { Remote } from './receiver.ts';

/** So many in a row, with no pause longer than this between them. */
const STEADY_PACKETS = 16;
const MAX_PAUSE_MS = 100;

const RTP_HEADER_BYTES = 12;

/** What names the sender: the SSRC, where the packet is long enough to have one. */
const sourceOf = (packet: Uint8Array, length: number): number =>
  length < RTP_HEADER_BYTES ? -1 : ssrc(packet);

export class SteadyFlow {
  #source = -1;
  #remote: Remote = { address: '', port: 0 };
  #packets = 0;
  #firstAt = 0;
  #lastAt = 0;

  /** Of the packet noted last. */
  get remote(): Remote {
    return this.#remote;
  }

  /** Between two packets of the row, on average. */
  get intervalMs(): number {
    return (this.#lastAt - this.#firstAt) / (this.#packets - 1);
  }

  isOf(packet: Uint8Array, length: number): boolean {
    return sourceOf(packet, length) === this.#source;
  }

  /** @returns whether the flow is steady with this packet */
  note(packet: Uint8Array, length: number, arrivedAt: number, remote: Remote): boolean {
    const { address, port } = this.#remote;
    const goesOn =
      this.isOf(packet, length) &&
      remote.port === port &&
      remote.address === address &&
      arrivedAt - this.#lastAt <= MAX_PAUSE_MS;
    if (goesOn) this.#packets++;
    else this.#begin(sourceOf(packet, length), arrivedAt, remote);
    this.#lastAt = arrivedAt;
    return this.#packets >= STEADY_PACKETS && this.#source !== -1;
  }

  #begin(source: number, arrivedAt: number, remote: Remote): void {
    this.#source = source;
    this.#remote = remote;
    this.#packets = 1;
    this.#firstAt = arrivedAt;
  }

  /** The row ends here: the next packet begins another. */
  interrupt(): void {
    this.#packets = 0;
    this.#lastAt = Number.NEGATIVE_INFINITY;
  }
}
