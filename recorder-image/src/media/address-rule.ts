/**
 * Who may send media to a stream. A recorder's ports lie open to its network; what strangers send must not
 * get into a recording.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Networks in CIDR notation or single addresses, IPv4 and IPv6. An empty list accepts nobody. */
export type AddressRule = readonly string[];

export class InvalidAddressRuleError extends Error {
  readonly network: string;

  constructor(network: string, options?: ErrorOptions) {
    super(`${JSON.stringify(network)} is not a network in CIDR notation, such as 198.51.100.0/24`, options);
    this.name = 'InvalidAddressRuleError';
    this.network = network;
  }
}

type Address = ReturnType<typeof ipaddr.parse>;
type Network = [address: Address, prefixLength: number];

function parseNetwork(network: string): Network {
  const [address = '', prefixLength] = network.split('/');
  // ipaddr.js also reads the short and octal forms of old, where 198.51.100 means 198.51.0.100.
  if (isIP(address) === 0) throw new InvalidAddressRuleError(network);
  if (prefixLength === undefined) return [ipaddr.process(address), isIP(address) === 4 ? 32 : 128];
  try {
    return ipaddr.parseCIDR(network);
  } catch (cause) {
    throw new InvalidAddressRuleError(network, { cause });
  }
}

const contains = ([network, prefixLength]: Network, address: Address): boolean =>
  address.kind() === network.kind() && address.match(network, prefixLength);

/**
 * Makes the test of one stream. It remembers its last verdict, since nearly all packets of a stream come from one
 * address. IPv4 addresses in IPv6 form (`::ffff:192.0.2.1`) count as IPv4.
 * @throws InvalidAddressRuleError
 */
export function addressTest(rule: AddressRule): (address: string) => boolean {
  const networks = rule.map(parseNetwork);
  let lastAddress = '';
  let lastVerdict = false;
  return (address) => {
    if (address === lastAddress) return lastVerdict;
    const parsed = ipaddr.process(address);
    lastAddress = address;
    lastVerdict = networks.some((network) => contains(network, parsed));
    return lastVerdict;
  };
}
