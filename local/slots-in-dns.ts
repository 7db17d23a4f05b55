/** Which slots an SRV answer names. */
import { type DnsServerAddress, queryDns } from './broadworks/dns-client.ts';

/**
 * Weights by slot, in the order of their names; a slot's name is the first label of its host.
 * @param name of the SRV records, `_sip._udp.siprec.rec.example.com`
 * @throws DnsQueryError
 */
export async function slotsInDns(server: DnsServerAddress, name: string): Promise<Map<string, number>> {
  const { answers } = await queryDns(server, name, 'SRV');
  return new Map(
    answers
      .flatMap((answer) => (answer.type === 'SRV' ? [answer.data] : []))
      .map(({ target, weight = 0 }): [string, number] => [target.split('.')[0] as string, weight])
      .sort(([one], [other]) => one.localeCompare(other)),
  );
}
