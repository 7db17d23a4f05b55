import type { Logger } from 'pino';

/** A dependency that fails, and is asked again and again: logged when that begins and when it is over, not in between. */
export class Trouble {
  readonly #logger: Logger;
  readonly #begins: string;
  readonly #ends: string;
  #lasts = false;

  constructor(logger: Logger, { begins, ends }: { begins: string; ends: string }) {
    this.#logger = logger;
    this.#begins = begins;
    this.#ends = ends;
  }

  failed(error: unknown): void {
    if (!this.#lasts) this.#logger.warn({ err: error }, this.#begins);
    this.#lasts = true;
  }

  worked(): void {
    if (this.#lasts) this.#logger.info(this.#ends);
    this.#lasts = false;
  }
}
