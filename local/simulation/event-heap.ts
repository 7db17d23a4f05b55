/**
 * What happens next: a binary heap over typed arrays, since half a million calls wait in it for their end. An event is a time, a
 * kind, and two numbers that mean what the kind says.
 */
export class EventHeap {
  /** Of the event that was popped last. */
  atSeconds = 0;
  kind = 0;
  subject = 0;
  detail = 0;

  #size = 0;
  #times: Float64Array;
  #kinds: Uint8Array;
  #subjects: Int32Array;
  #details: Int32Array;

  constructor(room = 1024) {
    this.#times = new Float64Array(room);
    this.#kinds = new Uint8Array(room);
    this.#subjects = new Int32Array(room);
    this.#details = new Int32Array(room);
  }

  get size(): number {
    return this.#size;
  }

  /** Time of the next event; infinity if there is none. */
  get nextAtSeconds(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : (this.#times[0] as number);
  }

  push(atSeconds: number, kind: number, subject: number, detail: number): void {
    if (this.#size === this.#times.length) this.#grow();
    const times = this.#times;
    let hole = this.#size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if ((times[parent] as number) <= atSeconds) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#set(hole, atSeconds, kind, subject, detail);
  }

  /** Takes the earliest event into the fields of this object. */
  pop(): void {
    if (this.#size === 0) throw new Error('no event is left: look at size before pop');
    this.atSeconds = this.#times[0] as number;
    this.kind = this.#kinds[0] as number;
    this.subject = this.#subjects[0] as number;
    this.detail = this.#details[0] as number;
    const last = --this.#size;
    const times = this.#times;
    const lastTime = times[last] as number;
    let hole = 0;
    for (let child = 1; child < last; child = 2 * hole + 1) {
      if (child + 1 < last && (times[child + 1] as number) < (times[child] as number)) child++;
      if ((times[child] as number) >= lastTime) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#move(last, hole);
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] as number;
    this.#kinds[to] = this.#kinds[from] as number;
    this.#subjects[to] = this.#subjects[from] as number;
    this.#details[to] = this.#details[from] as number;
  }

  #set(index: number, atSeconds: number, kind: number, subject: number, detail: number): void {
    this.#times[index] = atSeconds;
    this.#kinds[index] = kind;
    this.#subjects[index] = subject;
    this.#details[index] = detail;
  }

  #grow(): void {
    const room = this.#times.length * 2;
    const [times, kinds, subjects, details] = [this.#times, this.#kinds, this.#subjects, this.#details];
    this.#times = new Float64Array(room);
    this.#kinds = new Uint8Array(room);
    this.#subjects = new Int32Array(room);
    this.#details = new Int32Array(room);
    this.#times.set(times);
    this.#kinds.set(kinds);
    this.#subjects.set(subjects);
    this.#details.set(details);
  }
}
