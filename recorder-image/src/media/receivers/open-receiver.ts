/** The receivers by name, and which one it is to be. */
import { dgramReceiver } from './dgram.ts';
import { nativeReceiver } from './native.ts';
import { loadNativeAddon } from './native-addon.ts';
import type { Receiver } from './receiver.ts';

const RECEIVERS = {
  native: nativeReceiver,
  dgram: dgramReceiver,
} satisfies Record<string, (address: string) => Receiver>;
export type ReceiverKind = keyof typeof RECEIVERS;

/** @param address local address that sockets are bound to */
export const openReceiver = (kind: ReceiverKind, address: string): Receiver => RECEIVERS[kind](address);

/**
 * The native one, where it is there.
 * @param wish `auto`, or one of them
 * @returns the receiver, and why it is this one
 * @throws Error with the remedy if the native one is asked for and cannot be had
 */
export function chooseReceiver(wish: ReceiverKind | 'auto'): { receiver: ReceiverKind; why: string } {
  if (wish === 'dgram') return { receiver: 'dgram', why: 'asked for' };
  try {
    loadNativeAddon();
    return { receiver: 'native', why: wish === 'native' ? 'asked for' : 'the compiled addon is there' };
  } catch (cause) {
    const why = `the compiled addon cannot be loaded: ${(cause as Error).message}`;
    if (wish === 'auto') return { receiver: 'dgram', why };
    throw new Error(`no native receiver: ${why}; run npm run build:native, which needs cc`, { cause });
  }
}
