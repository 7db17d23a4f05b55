/**
 * Stands between a recorder and its SIP server, and takes the time: from an INVITE that the server hands over to the final
 * answer that it gets back. What the SRC waits for besides is the SIP server's share.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { frameReader, parseAppMessage } from '../../local/sip-server/wire.ts';

const HOST = '127.0.0.1';
/** Of the transaction id in what the server hands over: `id|sip|network|bytes|protocol|address|port|time|transaction|...` */
const TRANSACTION_FIELD = 8;

export interface WireTap {
  port: number;
  /** By Call-ID: milliseconds that the recorder took. */
  recorderMs: Map<string, number>;
  close(): Promise<void>;
}

/** @param adminPort of the SIP server */
export async function startWireTap(adminPort: number): Promise<WireTap> {
  const recorderMs = new Map<string, number>();
  /** By transaction. */
  const waiting = new Map<string, { callId: string; since: number }>();
  const open = new Set<Socket>();

  const onHandedOver = (frame: Buffer) => {
    const text = frame.toString('latin1');
    const end = text.indexOf('\r\n');
    if (!text.startsWith('INVITE ', end + 2)) return;
    const transaction = text.slice(0, end).split('|')[TRANSACTION_FIELD] ?? '';
    const callId = /\r\nCall-ID:\s*(\S+)/i.exec(text)?.[1] ?? '';
    waiting.set(transaction, { callId, since: performance.now() });
  };
  const onAnswer = (frame: Buffer) => {
    const message = parseAppMessage(frame);
    if (message.type !== 'sip' || !/^SIP\/2\.0 [2-6]/.test(message.sip.toString('latin1', 0, 16))) return;
    const invite = waiting.get(message.transactionId);
    if (!invite) return; // of another request
    waiting.delete(message.transactionId);
    recorderMs.set(invite.callId, performance.now() - invite.since);
  };

  const server = createServer({ noDelay: true }, (recorder) => {
    const sipServer = connect({ port: adminPort, host: HOST, noDelay: true });
    pass(sipServer, recorder, onHandedOver);
    pass(recorder, sipServer, onAnswer);
  });
  const pass = (from: Socket, to: Socket, look: (frame: Buffer) => void) => {
    const read = frameReader();
    open.add(from);
    from.on('data', (chunk: Buffer) => {
      const frames = read(chunk);
      to.write(chunk);
      for (const frame of frames) look(frame);
    });
    from.on('error', () => {}); // broken off at the end
    from.on('close', () => to.destroy());
  };
  server.listen(0, HOST);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    recorderMs,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
