/** The torture messages of RFC 4475, over real sockets. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  cseq,
  header,
  parseFragment,
  type SipMessage,
  type SipResponse,
  topVia,
} from '../../../local/sip/message.ts';
import { app, call, closers, HOST, inDialog, server } from './support.ts';
import { type Fate, TORTURE_MESSAGES } from './torture-messages.ts';

/** Every method that a message has and the server can hand on. */
const METHODS = ['invite', 'options', 'message', 'register'] as const;

/** Where the end of what a message has caused is known by: it goes the same way, after it. */
const SENTINEL = 'sentinel@example.net';
const sentinel = (protocol: string, number: number) =>
  Buffer.from(
    [
      'OPTIONS sip:user@example.com SIP/2.0',
      `Via: SIP/2.0/${protocol} ${HOST};branch=z9hG4bKsentinel${number}`,
      'From: <sip:caller@example.net>;tag=s',
      'To: <sip:user@example.com>',
      `Call-ID: ${SENTINEL}`,
      'CSeq: 1 OPTIONS',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );

/** An application that answers everything, an INVITE with 486, and notes the Call-IDs. */
async function answeringServer() {
  const started = await server();
  const handed: string[] = [];
  await app(started, (self) => {
    for (const method of METHODS)
      (self as unknown as Record<string, typeof self.invite>)[method]?.((req, res) => {
        handed.push(req.get('Call-ID'));
        res.send(req.method === 'INVITE' ? 486 : 200);
      });
  });
  return { started, handed };
}

async function udpSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  closers.push(() => {
    socket.close();
  });
  return socket;
}

/** The final responses that a message causes, by way of the sentinel that follows it. */
let sentinels = 0;
async function responsesTo(bytes: Buffer, socket: Socket, port: number): Promise<SipResponse[]> {
  const responses: SipResponse[] = [];
  const done = Promise.withResolvers<void>();
  const listen = (datagram: Buffer) => {
    const message = parseFragment(datagram) as SipResponse;
    if (header(message, 'Call-ID') === SENTINEL) done.resolve();
    else if (message.status >= 200) responses.push(message);
  };
  socket.on('message', listen);
  socket.send(bytes, port, HOST);
  socket.send(sentinel('UDP', ++sentinels), port, HOST);
  await done.promise;
  socket.off('message', listen);
  return responses;
}

const expectedStatus = (becomes: Fate, method: string): number[] => {
  if (becomes === 'dropped') return [];
  if (becomes === 'handed') return [method === 'INVITE' ? 486 : 200];
  return [becomes];
};

/** What ties an answer to its request. */
function identity(message: SipMessage) {
  const { host, port, params } = topVia(message);
  return [host, port, params.get('branch'), header(message, 'Call-ID'), header(message, 'CSeq')];
}

/** Undefined if there is nothing to answer. The start line, which may be what is wrong, is left out of it. */
function expectedIdentity(bytes: Buffer) {
  if (bytes.toString('latin1', 0, 4) === 'SIP/') return undefined;
  const headers = bytes.subarray(bytes.indexOf('\r\n'));
  const message = parseFragment(Buffer.concat([Buffer.from('ANY sip:a@example.com SIP/2.0'), headers]));
  return { identity: identity(message), callId: header(message, 'Call-ID') };
}

describe('a torture message of RFC 4475', () => {
  let running: Awaited<ReturnType<typeof answeringServer>> & { socket: Socket };
  let stop: typeof closers;
  beforeAll(async () => {
    running = { ...(await answeringServer()), socket: await udpSocket() };
    // One server for all messages: what one leaves behind must not change the fate of the next.
    stop = closers.splice(0);
  });
  afterAll(async () => {
    for (const close of stop.reverse()) await close();
  });

  it.each(TORTURE_MESSAGES.map((message) => [message.name, message] as const))(
    '%s',
    async (_, { bytes, becomes }) => {
      running.handed.length = 0;
      const responses = await responsesTo(bytes, running.socket, running.started.sipPort);
      const handed = running.handed.filter((id) => id !== SENTINEL);
      const sent = expectedIdentity(bytes);
      const method = bytes.toString('latin1').split(' ', 1)[0] ?? '';
      expect(responses.map(({ status }) => status)).toEqual(expectedStatus(becomes, method));
      expect(handed).toEqual(becomes === 'handed' ? [sent?.callId] : []);
      // Whatever the answer is, it belongs to this very request.
      for (const response of responses) expect(identity(response)).toEqual(sent?.identity);
    },
  );
});

describe('after all torture messages', () => {
  it('the server still takes a call', async () => {
    const up = await call('udp');
    const socket = await udpSocket();
    for (const { bytes } of TORTURE_MESSAGES) socket.send(bytes, up.server.sipPort, HOST);
    const destroyed = once(up.dlg, 'destroy');
    expect(await inDialog(up, 'BYE')).toMatchObject({ status: 200 });
    await destroyed;
  });

  it.each(TORTURE_MESSAGES.map((message) => [message.name, message] as const))(
    'each on a TCP connection of its own, it still answers: %s',
    async (_, { bytes }) => {
      const { started } = await answeringServer();
      const spoiled = connect(started.sipPort, HOST);
      spoiled.on('error', () => undefined).resume();
      // Written and half closed, so that the server has read it before the other connection is opened.
      const gone = once(spoiled, 'close');
      spoiled.end(bytes);
      await gone;
      const good = connect(started.sipPort, HOST);
      closers.push(() => {
        good.destroy();
      });
      good.write(sentinel('TCP', ++sentinels));
      const [answer] = await once(good, 'data');
      const parsed = parseFragment(answer) as SipResponse;
      expect([parsed.status, cseq(parsed).method]).toEqual([200, 'OPTIONS']);
    },
  );
});
