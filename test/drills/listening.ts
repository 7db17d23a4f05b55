/** Whether somebody listens at a UDP port, as the kernel sees it: what a recorder says of itself does not count. */
import { readFileSync } from 'node:fs';
import type { Excuse } from './drill.ts';

const EVERY_MS = 25;
/** The kernel tells its table in pieces: what others open and close meanwhile can hide a socket that stays, for a moment. */
const BELIEVED_AFTER_MS = 100;

/** Ports of UDP sockets over IPv4 that are bound on this machine (proc(5)). */
export function boundPorts(): Set<number> {
  const lines = readFileSync('/proc/net/udp', 'latin1').trimEnd().split('\n').slice(1);
  return new Set(lines.map((line) => Number.parseInt(line.trim().split(/\s+/)[1]?.split(':')[1] ?? '', 16)));
}

/** A time, milliseconds since the epoch. */
interface Span {
  fromMs: number;
  toMs: number;
}

/** Watches ports from now on. */
export class PortWatch {
  /** By port; the last is open as long as `toMs` is infinite. */
  readonly #deaf: Map<number, Span[]>;
  readonly #unseenSince = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(ports: readonly number[]) {
    this.#deaf = new Map(ports.map((port) => [port, []]));
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  /** Nobody listens at any of the ports: their process was killed at that time, and is gone. */
  died(killedAtMs: number): void {
    for (const spans of this.#deaf.values()) {
      const last = spans.at(-1);
      if (last?.toMs === Number.POSITIVE_INFINITY) last.fromMs = killedAtMs;
      else spans.push({ fromMs: killedAtMs, toMs: Number.POSITIVE_INFINITY });
    }
  }

  /** Packets that were sent while nobody listened at their port may be missing. */
  readonly excuse: Excuse = ({ rtpPort }, _packet, sentAtMs) =>
    this.#deaf.get(rtpPort)?.some(({ fromMs, toMs }) => sentAtMs >= fromMs && sentAtMs <= toMs) ?? false;

  /** Milliseconds of the longest time without a listener that has ended. */
  get longestMs(): number {
    const times = [...this.#deaf.values()].flat().map(({ fromMs, toMs }) => toMs - fromMs);
    return Math.max(0, ...times.filter(Number.isFinite));
  }

  /** Milliseconds since the epoch: when the last port was opened again; 0 if none was. */
  get lastOpenedMs(): number {
    const times = [...this.#deaf.values()].flat().map(({ toMs }) => toMs);
    return Math.max(0, ...times.filter(Number.isFinite));
  }

  /** Ports at which nobody listened for longer. */
  portsDeafFor(ms: number): number[] {
    return [...this.#deaf].flatMap(([port, spans]) =>
      spans.some(({ fromMs, toMs }) => toMs - fromMs > ms) ? port : [],
    );
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = Date.now();
    const bound = boundPorts();
    for (const [port, spans] of this.#deaf) {
      const last = spans.at(-1);
      const isDeaf = last?.toMs === Number.POSITIVE_INFINITY;
      if (bound.has(port)) {
        this.#unseenSince.delete(port);
        if (isDeaf) last.toMs = now;
        continue;
      }
      const fromMs = this.#unseenSince.get(port) ?? now;
      this.#unseenSince.set(port, fromMs);
      if (!isDeaf && now - fromMs >= BELIEVED_AFTER_MS)
        spans.push({ fromMs, toMs: Number.POSITIVE_INFINITY });
    }
  }
}
