/** Packets that vanish: nftables of the network namespace that the drill runs in (nft(8)). */
import { spawnSync } from 'node:child_process';

/** `nft` is there, and may be used here. */
export const hasFirewall = (): boolean => spawnSync('nft', ['list', 'tables']).status === 0;

function nft(rules: string): void {
  const { status, error, stderr } = spawnSync('nft', ['-f', '-'], { input: rules });
  if (status !== 0)
    throw new Error(`nft: ${error?.message ?? stderr.toString().trim()} (Debian: apt-get install nftables)`);
}

/** Everything to these ports, and from them, is dropped without a word. UDP and TCP. */
export function dropPackets(ports: readonly (number | { min: number; max: number })[]): void {
  const set = ports.map((port) => (typeof port === 'number' ? port : `${port.min}-${port.max}`)).join(', ');
  nft(`table inet drill {
  chain input {
    type filter hook input priority 0;
    meta l4proto { tcp, udp } th dport { ${set} } drop
    meta l4proto { tcp, udp } th sport { ${set} } drop
  }
}
`);
}

export const passPackets = (): void => nft('delete table inet drill\n');
