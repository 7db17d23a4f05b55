/** A queue without `Array.shift`, whose discarded storage outlives many garbage collections in a long assembly. */

const COMPACT_FROM = 256;

export class PacketQueue<Item> {
  /** Those before `#head` are gone. */
  readonly #items: (Item | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  /** Appends the item, or puts it before the last ones that `isAfter` it. */
  add(item: Item, isAfter: (other: Item) => boolean = () => false): void {
    const items = this.#items;
    let index = items.length;
    while (index > this.#head && isAfter(items[index - 1] as Item)) index--;
    if (index === items.length) items.push(item);
    else items.splice(index, 0, item);
  }

  takeFirst(): Item | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= COMPACT_FROM) {
      this.#items.copyWithin(0, this.#head);
      this.#items.length -= this.#head;
      this.#head = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Generator<Item, void, void> {
    for (let index = this.#head; index < this.#items.length; index++) yield this.#items[index] as Item;
  }
}
