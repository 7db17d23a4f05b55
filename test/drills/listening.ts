/** Whether somebody listens at a UDP port, as the kernel sees it: what a recorder says of itself does not count. */
import { readFileSync } from 'node:fs';
import type { Span } from './compare.ts';

const EVERY_MS = 10;

/** Ports of UDP sockets over IPv4 that are bound on this machine (proc(5)). */
export function boundPorts(): Set<number> {
  const lines = readFileSync('/proc/net/udp', 'latin1').trimEnd().split('\n').slice(1);
  return new Set(lines.map((line) => Number.parseInt(line.trim().split(/\s+/)[1]?.split(':')[1] ?? '', 16)));
}

/** Watches ports from now on. */
export class PortWatch {
  readonly #ports: readonly number[];
  /** By port; the last is open as long as `toMs` is infinite. */
  readonly #deaf: Map<number, Span[]>;
  readonly #timer: NodeJS.Timeout;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#deaf = new Map(ports.map((port) => [port, []]));
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  /** Nobody listens at any of the ports from now on: their process was just killed. */
  died(): void {
    const fromMs = Date.now();
    for (const port of this.#ports) this.#deaf.get(port)?.push({ fromMs, toMs: Number.POSITIVE_INFINITY });
  }

  /** When nobody listened at a port. */
  deaf(port: number): readonly Span[] {
    return this.#deaf.get(port) ?? [];
  }

  /** Milliseconds of the longest time without a listener that has ended. */
  get longestMs(): number {
    const times = [...this.#deaf.values()].flat().map(({ fromMs, toMs }) => toMs - fromMs);
    return Math.max(0, ...times.filter(Number.isFinite));
  }

  /** How many ports have nobody listening. */
  get deafPorts(): number {
    return [...this.#deaf.values()].filter((spans) => spans.at(-1)?.toMs === Number.POSITIVE_INFINITY).length;
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
      if (isDeaf && bound.has(port)) last.toMs = now;
      else if (!isDeaf && !bound.has(port)) spans.push({ fromMs: now, toMs: Number.POSITIVE_INFINITY });
    }
  }
}
