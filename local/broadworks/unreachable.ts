/** Tells a closed UDP port from a silent one. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** What SIP servers ignore on UDP: a keep-alive (RFC 5626 section 3.5.1). */
const KEEP_ALIVE = '\r\n\r\n';

/**
 * Resolves with the error when ICMP says that the port is closed or the host cannot be reached; stays pending
 * while nothing is heard, until stopped. The SIP transport's socket is unconnected, and to such a socket Linux
 * reports no ICMP; RFC 3263 section 4.3 counts it as a failure of the server.
 */
export async function untilUnreachable(
  address: string,
  port: number,
  stop: AbortSignal,
): Promise<Error | undefined> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const stopped = once(stop, 'abort').then(() => undefined);
  const failed = once(socket, 'error').then(([error]) => error as Error);
  socket.connect(port, address, (error?: Error) => {
    if (error) socket.emit('error', error);
    else socket.send(KEEP_ALIVE);
  });
  const result = stop.aborted ? undefined : await Promise.race([stopped, failed]);
  socket.close();
  return result;
}
