/** From a SIP domain to the servers to try, in order (RFC 3263 section 4.2; selection by RFC 2782). IPv4. */
import { isIP } from 'node:net';
import type { Answer, RecordType } from 'dns-packet';
import type { DnsCache } from './dns-cache.ts';
import { type DnsReply, type DnsServerAddress, queryDns } from './dns-client.ts';
import { orderSrv } from './srv-selection.ts';

const DEFAULT_SIP_PORT = 5060;

type Query = (name: string, type: RecordType) => Promise<DnsReply>;

export interface SipDestination {
  /** Host name, SRV domain or IP address. */
  domain: string;
  /** When present, SRV records are not looked up. */
  port?: number;
  transport: 'udp' | 'tcp';
}

export interface SipTarget {
  /** The name whose address this is. */
  target: string;
  address: string;
  port: number;
}

/** The domain has no server for this transport. */
export class NoSipServerError extends Error {
  readonly domain: string;

  constructor(domain: string, why: string) {
    super(`no SIP server for ${domain}: ${why}`);
    this.name = 'NoSipServerError';
    this.domain = domain;
  }
}

/**
 * Locates the servers, best first; a target with several addresses stands there once for each.
 * @param random uniform in [0, 1)
 * @param cache of the SRC; without one, DNS is asked each time
 * @throws NoSipServerError, DnsQueryError
 */
export async function locateSipServers(
  { domain, port, transport }: SipDestination,
  dnsServer: DnsServerAddress,
  random: () => number,
  cache?: DnsCache,
): Promise<SipTarget[]> {
  const query: Query = (name, type) => (cache ?? { query: queryDns }).query(dnsServer, name, type);
  if (isIP(domain)) return [{ target: domain, address: domain, port: port ?? DEFAULT_SIP_PORT }];
  const service = `_sip._${transport}.${domain}`;
  const { answers, additionals } =
    port === undefined ? await query(service, 'SRV') : { answers: [], additionals: [] };
  const records = answers.flatMap((answer) =>
    answer.type === 'SRV'
      ? [{ ...answer.data, priority: answer.data.priority ?? 0, weight: answer.data.weight ?? 0 }]
      : [],
  );
  if (records.length === 0) {
    const addresses = await lookUpAddresses(domain, query, []);
    if (addresses.length === 0) {
      throw new NoSipServerError(
        domain,
        port === undefined ? `neither ${service} SRV nor A records` : 'no A records',
      );
    }
    return addresses.map((address) => ({ target: domain, address, port: port ?? DEFAULT_SIP_PORT }));
  }
  if (records.every(({ target }) => target === '.')) {
    throw new NoSipServerError(domain, `${service} SRV says "." (decidedly not available)`);
  }
  const targets: SipTarget[] = [];
  for (const { target, port: targetPort } of orderSrv(records, random)) {
    const addresses = await lookUpAddresses(target, query, additionals);
    targets.push(...addresses.map((address) => ({ target, address, port: targetPort })));
  }
  if (targets.length === 0) throw new NoSipServerError(domain, `no target of ${service} SRV has an A record`);
  return targets;
}

/** Addresses of a name: those that came along in an additional section, else by a query of its own. */
async function lookUpAddresses(name: string, query: Query, additionals: Answer[]): Promise<string[]> {
  const known = addressesOf(additionals, name);
  if (known.length > 0) return known;
  const { answers } = await query(name, 'A');
  return addressesOf(answers, name);
}

function addressesOf(records: Answer[], name: string): string[] {
  return records.flatMap((record) =>
    record.type === 'A' && record.name.toLowerCase() === name.toLowerCase() ? [record.data] : [],
  );
}
