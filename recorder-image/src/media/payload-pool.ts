/** Payloads that wait for their turn, in memory that is used again: garbage of this kind is collected late. */

/** No network carries longer ones in one piece. */
const BLOCK_BYTES = 1536;

export class PayloadPool {
  readonly #free: Buffer[] = [];

  /** A copy, until it is given back. */
  keep(payload: Uint8Array): Buffer {
    if (payload.length > BLOCK_BYTES) return Buffer.from(payload);
    const block = this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    block.set(payload);
    return block.subarray(0, payload.length);
  }

  giveBack(kept: Uint8Array): void {
    if (kept.buffer.byteLength === BLOCK_BYTES) this.#free.push(Buffer.from(kept.buffer as ArrayBuffer));
  }
}
