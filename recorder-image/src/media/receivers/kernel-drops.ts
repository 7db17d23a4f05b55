/**
 * What the kernel dropped because a socket's buffer was full, from Linux's `/proc/net`: the only place to see it
 * without a system call on the socket.
 *
 * The table of sockets is slow to read: the kernel walks it anew for every 4 KiB, which for 10,000 sockets takes a tenth
 * of a second. So it is only read after the protocol's own count of errors has grown, which takes microseconds to see.
 */
import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import ipaddr from 'ipaddr.js';

const LOOK_EVERY_MS = 1000;
/** Where another program's socket drops all the time, no more than a tenth of the time is spent on looking. */
const PAUSE_PER_LOOK = 9;

type OnDrops = (packets: number, from: number, to: number) => void;

interface Watched {
  onDrops: OnDrops;
  /** As told so far. */
  drops: number;
  /** Drops since then are not told yet. */
  since: number;
}

export class KernelDrops {
  readonly #table: string;
  readonly #localAddress: string;
  readonly #isIpv6: boolean;
  readonly #watched = new Map<number, Watched>();
  #errors = '';
  #looking: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #lookAgainAt = 0;

  /** @param address that the sockets are bound to */
  constructor(address: string) {
    setInterval(() => void this.#lookIfDue(), LOOK_EVERY_MS).unref();
    this.#isIpv6 = ipaddr.parse(address).kind() === 'ipv6';
    this.#table = this.#isIpv6 ? '/proc/net/udp6' : '/proc/net/udp';
    this.#localAddress = tableAddress(address);
  }

  /** @param onDrops packets, and the times between which they were dropped, on the clock of `performance.now()` */
  watch(port: number, onDrops: OnDrops): void {
    this.#watched.set(port, { onDrops, drops: 0, since: performance.now() });
  }

  forget(port: number): void {
    this.#watched.delete(port);
  }

  /** Tells of all that was dropped before this call. Calls that come while one is looking share the next look. */
  look(): Promise<void> {
    if (this.#looking === undefined) {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
      return this.#looking;
    }
    this.#next ??= this.#looking.then(() => {
      this.#next = undefined;
      return this.look();
    });
    return this.#next;
  }

  async #lookIfDue(): Promise<void> {
    const startedAt = performance.now();
    if (this.#watched.size === 0 || this.#looking !== undefined || startedAt < this.#lookAgainAt) return;
    await this.look();
    const endedAt = performance.now();
    this.#lookAgainAt = endedAt + PAUSE_PER_LOOK * (endedAt - startedAt);
  }

  async #look(): Promise<void> {
    const startedAt = performance.now();
    const errors = await this.#readErrors();
    if (errors !== this.#errors) {
      this.#errors = errors;
      const table = await readOrEmpty(this.#table);
      const now = performance.now();
      for (const [port, drops] of readDrops(table, this.#localAddress)) {
        const watched = this.#watched.get(port);
        if (watched === undefined || drops <= watched.drops) continue;
        watched.onDrops(drops - watched.drops, watched.since, now);
        watched.drops = drops;
      }
    }
    for (const watched of this.#watched.values()) if (watched.since < startedAt) watched.since = startedAt;
  }

  /** Text that changes whenever a UDP socket of this protocol drops something. */
  async #readErrors(): Promise<string> {
    if (this.#isIpv6) {
      const text = (await readOrEmpty('/proc/net/snmp6')).toString('latin1');
      return (text.match(/^Udp6\w*Errors\s+\d+$/gm) ?? []).join();
    }
    const text = (await readOrEmpty('/proc/net/snmp')).toString('latin1');
    const [names = [], values = []] = (text.match(/^Udp: .+$/gm) ?? []).map((line) => line.split(' '));
    return values.filter((_, index) => names[index]?.endsWith('Errors')).join();
  }
}

/** Where there is no `/proc`, nothing is known of drops. */
const readOrEmpty = (path: string): Promise<Buffer> => readFile(path).catch(() => Buffer.alloc(0));

/** An address as `/proc/net/udp*` writes it: words of 32 bits in the machine's byte order, in hexadecimal. */
export function tableAddress(address: string): string {
  const bytes = Buffer.from(ipaddr.parse(address).toByteArray());
  return (endianness() === 'LE' ? bytes.swap32() : bytes).toString('hex').toUpperCase();
}

const NEW_LINE = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;

/**
 * The sockets of a table that have dropped something: port, and packets since the socket is there. Lines without drops,
 * which are nearly all, are recognised by their last character.
 * @param table `/proc/net/udp` or `/proc/net/udp6`
 * @param localAddress of the sockets, as the table writes it
 */
export function* readDrops(table: Buffer, localAddress: string): Generator<[port: number, drops: number]> {
  let start = table.indexOf(NEW_LINE) + 1; // the first line is the heading
  for (let end = table.indexOf(NEW_LINE, start); end >= 0; end = table.indexOf(NEW_LINE, start)) {
    let last = end - 1;
    while (last > start && table[last] === SPACE) last--;
    if (table[last] !== ZERO || table[last - 1] !== SPACE) {
      const fields = table
        .toString('latin1', start, last + 1)
        .trim()
        .split(/\s+/);
      const [address, port] = fields[1]?.split(':') ?? [];
      const drops = Number(fields.at(-1));
      if (address === localAddress && drops > 0) yield [Number.parseInt(port ?? '', 16), drops];
    }
    start = end + 1;
  }
}
