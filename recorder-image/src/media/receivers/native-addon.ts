/** The compiled addon (`recorder-image/native/receive.c`) as JavaScript sees it, and where it is. */
import { fileURLToPath } from 'node:url';

/** Bad arguments throw a TypeError; what the system refuses is told as a negative errno. */
export interface NativeAddon {
  /** Datagrams that one call takes at most, bytes of the arena for each, and 32-bit numbers that are told of each. */
  readonly batch: number;
  readonly slotBytes: number;
  readonly fields: number;
  /** @returns the number of a socket */
  open(address: string, port: number, receiveBufferBytes: number): number;
  receiveBufferBytes(socket: number): number;
  /**
   * @param arena `batch * slotBytes`; the n-th datagram is at `n * slotBytes`
   * @param facts `batch * fields`
   * @returns datagrams taken; fewer than `batch` if there are no more
   */
  receive(arena: Uint8Array, facts: Int32Array): number;
  /** As `receive`, from one socket. */
  receiveFrom(socket: number, arena: Uint8Array, facts: Int32Array): number;
  /** Where the n-th datagram of the last call came from. */
  sourceOf(n: number): { address: string; port: number };
  /** Datagrams that the kernel has dropped at the socket since it is open. */
  drops(socket: number): number;
  send(socket: number, packet: Uint8Array, address: string, port: number): number;
  close(socket: number): void;
}

/** Fields of a datagram. A length below 0 is the errno of what could not be received. */
export const FIELD = { socket: 0, length: 1, ageMicros: 2, flags: 3, drops: 4 } as const;
/** The source differs from that of the socket's datagram before; its drops have grown. */
export const FLAG = { source: 1, drops: 2 } as const;

// The image has it beside the bundle; a recorder that runs from its sources, where `npm run build:native` puts it.
const ADDON = import.meta.url.endsWith('.ts')
  ? new URL('../../../../dist/native/receive.node', import.meta.url)
  : new URL('./receive.node', import.meta.url);

const FUNCTIONS = [
  'open',
  'receiveBufferBytes',
  'receive',
  'receiveFrom',
  'sourceOf',
  'drops',
  'send',
  'close',
] as const satisfies (keyof NativeAddon)[];

/** @throws Error if it is not there, was built from an older source, or does not fit to this system */
export function loadNativeAddon(): NativeAddon {
  const module: { exports: Partial<NativeAddon> } = { exports: {} };
  process.dlopen(module, fileURLToPath(ADDON));
  const missing = FUNCTIONS.filter((name) => typeof module.exports[name] !== 'function');
  if (missing.length > 0)
    throw new Error(`it was built from an older source, and has no ${missing.join(', no ')}`);
  return module.exports as NativeAddon;
}
