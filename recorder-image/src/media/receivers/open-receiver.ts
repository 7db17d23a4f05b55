/** The receivers by name. */
import { dgramReceiver } from './dgram.ts';
import type { Receiver } from './receiver.ts';

const RECEIVERS = { dgram: dgramReceiver } satisfies Record<string, (address: string) => Receiver>;
export type ReceiverKind = keyof typeof RECEIVERS;

/** @param address local address that sockets are bound to */
export const openReceiver = (kind: ReceiverKind, address: string): Receiver => RECEIVERS[kind](address);
