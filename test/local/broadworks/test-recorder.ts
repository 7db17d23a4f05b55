/** A small recorder for tests: real SIP and RTP sockets, and a will of its own. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { SipRequest } from '../../../local/sip/message.ts';
import { type ServerTransaction, TransactionLayer } from '../../../local/sip/transaction.ts';
import { openTransport } from '../../../local/sip/transport.ts';

const ADDRESS = '127.0.0.1';

/** What it does with an INVITE: record, answer with a status, keep silent, or say 100 and then keep silent. */
export type Manner = 'record' | 'silent' | 'trying' | { status: number };

export interface TestRecorder {
  port: number;
  /** Every new request, in order; ACKs to 2xx too. */
  requests: SipRequest[];
  /** Packets per stream, in order of arrival. */
  streams: Buffer[][];
  /** Set to false to let BYE go unanswered. */
  answersBye: boolean;
  /** Resolves with the next request of that method. */
  next(method: string): Promise<SipRequest>;
  close(): Promise<void>;
}

export async function startRecorder(manner: Manner): Promise<TestRecorder> {
  const transport = await openTransport({ address: ADDRESS, port: 0 });
  const layer = new TransactionLayer(transport);
  const sockets: Socket[] = [];
  const waiting: { method: string; resolve: (request: SipRequest) => void }[] = [];
  const recorder: TestRecorder = {
    port: transport.port,
    requests: [],
    streams: [],
    answersBye: true,
    next: (method) => new Promise((resolve) => waiting.push({ method, resolve })),
    async close() {
      layer.close();
      await transport.close();
      for (const socket of sockets) socket.close();
    },
  };
  const note = (request: SipRequest): void => {
    recorder.requests.push(request);
    const index = waiting.findIndex(({ method }) => method === request.method);
    if (index >= 0) waiting.splice(index, 1)[0]?.resolve(request);
  };
  const openStream = async (): Promise<number> => {
    const socket = createSocket('udp4');
    socket.bind(0, ADDRESS);
    await once(socket, 'listening');
    const packets: Buffer[] = [];
    socket.on('message', (packet) => packets.push(packet));
    sockets.push(socket);
    recorder.streams.push(packets);
    return socket.address().port;
  };
  const contact = `<sip:recorder@${ADDRESS}:${transport.port}>;+sip.srs`;
  const accept = async (transaction: ServerTransaction): Promise<void> => {
    const offered = transaction.request.body.toString().match(/^m=audio \d+ RTP\/AVP \d+/gm) ?? [];
    const ports = sockets.map((socket) => socket.address().port);
    while (ports.length < offered.length) ports.push(await openStream());
    const media = offered.map(
      (line, i) => `${line.replace(/audio \d+/, `audio ${ports[i]}`)}\r\na=recvonly\r\n`,
    );
    transaction.respond(200, {
      headers: [
        ['Contact', contact],
        ['Content-Type', 'application/sdp'],
      ],
      body: `v=0\r\no=- 1 1 IN IP4 ${ADDRESS}\r\ns=-\r\nc=IN IP4 ${ADDRESS}\r\nt=0 0\r\n${media.join('')}`,
    });
  };
  layer.on('ack', note);
  layer.on('request', (transaction) => {
    note(transaction.request);
    if (transaction.request.method === 'BYE') {
      if (recorder.answersBye) transaction.respond(200);
    } else if (manner === 'record') void accept(transaction);
    else if (manner === 'trying') transaction.respond(100);
    else if (manner !== 'silent') transaction.respond(manner.status);
  });
  return recorder;
}
