/** What an SRC remembers of DNS: each answer for the shortest TTL of its records (RFC 2181 section 5.2). */
import type { RecordType } from 'dns-packet';
import { type DnsReply, type DnsServerAddress, queryDns } from './dns-client.ts';

export class DnsCache {
  readonly #known = new Map<string, { reply: Promise<DnsReply>; until: number }>();

  /**
   * The remembered answer, or a new one. Questions that are asked at the same time are asked once; failures and answers
   * without records are not remembered.
   * @throws DnsQueryError
   */
  async query(server: DnsServerAddress, name: string, type: RecordType): Promise<DnsReply> {
    const key = `${name} ${type}`.toLowerCase();
    const known = this.#known.get(key);
    if (known && performance.now() < known.until) return known.reply;
    const asked = { reply: queryDns(server, name, type), until: Number.POSITIVE_INFINITY };
    this.#known.set(key, asked);
    try {
      const { answers } = await asked.reply;
      const ttls = answers.map((answer) => ('ttl' in answer ? (answer.ttl ?? 0) : 0));
      asked.until = performance.now() + 1000 * (ttls.length > 0 ? Math.min(...ttls) : 0);
    } catch {
      this.#known.delete(key);
    }
    return asked.reply;
  }
}
