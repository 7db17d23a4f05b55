import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Dialog, uriDestination } from '../../../local/sip/dialog.ts';
import {
  callId,
  cseq,
  type Header,
  header,
  headerValues,
  makeRequest,
  makeResponse,
  parseMessage,
  type SipRequest,
  type SipResponse,
  serialise,
  topVia,
  toTag,
} from '../../../local/sip/message.ts';
import { type LayerOptions, type Outcome, TransactionLayer } from '../../../local/sip/transaction.ts';
import { openTransport, type Peer, type Protocol } from '../../../local/sip/transport.ts';
import { newCallId, newTag } from '../../../local/sip/values.ts';

const HOST = '127.0.0.1';
/**
 * For tests that wait for a timer: 64 T1 is then 320 ms. The others keep the standard's T1, so that a busy machine
 * causes no retransmission.
 */
const SHORT: LayerOptions = { t1Ms: 5 };

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function node(options: LayerOptions = {}): Promise<TransactionLayer> {
  const transport = await openTransport({ address: HOST, port: 0 });
  const layer = new TransactionLayer(transport, options);
  closers.push(async () => {
    layer.close();
    await transport.close();
  });
  return layer;
}

/** A bare UDP socket: an other end that does exactly what the test says. */
async function rawUdp(): Promise<{ socket: Socket; peer: Peer; next: () => Promise<Buffer> }> {
  const socket = createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  closers.push(() => {
    socket.close();
  });
  const received: Buffer[] = [];
  const waiting: ((bytes: Buffer) => void)[] = [];
  socket.on('message', (bytes) => {
    const take = waiting.shift();
    if (take) take(bytes);
    else received.push(bytes);
  });
  const next = async () =>
    received.shift() ?? (await new Promise<Buffer>((resolve) => waiting.push(resolve)));
  return { socket, peer: { protocol: 'udp', address: HOST, port: socket.address().port }, next };
}

const peerOf = ({ transport }: TransactionLayer, protocol: Protocol): Peer => ({
  protocol,
  address: HOST,
  port: transport.port,
});

function newRequest(method: string, extra: Header[] = [], body?: string): SipRequest {
  return makeRequest(
    method,
    'sip:127.0.0.1',
    [
      ['Max-Forwards', '70'],
      ['From', `<sip:a@example.com>;tag=${newTag()}`],
      ['To', '<sip:b@example.com>'],
      ['Call-ID', newCallId('example.com')],
      ['CSeq', `1 ${method}`],
      ...extra,
    ],
    body,
  );
}

const finalOf = (outcome: Outcome): SipResponse => {
  if (outcome.kind !== 'response') throw new Error(`no response but ${outcome.kind}`);
  return outcome.response;
};

describe.each<Protocol>(['udp', 'tcp'])('over %s', (protocol) => {
  it('carries a whole call: INVITE, ACK, INFO, BYE from both sides', async () => {
    const [caller, callee] = [await node(), await node()];
    const contact = (layer: TransactionLayer): Header[] => [
      ['Contact', `<sip:${HOST}:${layer.transport.port};transport=${protocol}>`],
    ];
    const uasDialog = Promise.withResolvers<Dialog>();
    callee.on('request', (transaction) => {
      if (transaction.request.method === 'INVITE') {
        transaction.respond(100);
        const ok = transaction.respond(200, { headers: contact(callee), body: 'answer' });
        uasDialog.resolve(Dialog.asServer(transaction.request, ok));
      } else transaction.respond(200);
    });
    caller.on('request', (transaction) => transaction.respond(200));

    const provisionals: number[] = [];
    const invite = caller.request(newRequest('INVITE', contact(caller), 'offer'), peerOf(callee, protocol), {
      onProvisional: ({ status }) => provisionals.push(status),
    });
    const ok = finalOf(await invite.outcome);
    expect([ok.status, ok.body.toString(), provisionals]).toEqual([200, 'answer', [100]]);

    const dialog = Dialog.asClient(invite.request, ok);
    expect(uriDestination(dialog.nextHop)).toEqual(peerOf(callee, protocol));
    const acked = once(callee, 'ack');
    invite.acknowledge(dialog.ack(1), peerOf(callee, protocol));
    const [ack] = (await acked) as [SipRequest];
    expect([ack.method, cseq(ack).seq, toTag(ack)]).toEqual(['ACK', 1, dialog.remoteTag]);

    const info = caller.request(
      dialog.request('INFO', [['Content-Type', 'text/plain']], 'x'),
      peerOf(callee, protocol),
    );
    expect(finalOf(await info.outcome)).toMatchObject({ status: 200 });
    const bye = callee.request((await uasDialog.promise).request('BYE'), peerOf(caller, protocol));
    expect(cseq(finalOf(await bye.outcome))).toEqual({ seq: 1, method: 'BYE' });
  });

  it('cancels once a provisional response has come', async () => {
    const [caller, callee] = [await node(), await node()];
    callee.on('request', (transaction) => transaction.respond(180));
    callee.on('cancel', (invite, cancel) => {
      expect(header(cancel, 'Reason')).toBe('SIP;cause=200');
      invite.respond(487);
    });
    const invite = caller.request(newRequest('INVITE'), peerOf(callee, protocol));
    invite.cancel([['Reason', 'SIP;cause=200']]);
    expect(finalOf(await invite.outcome).status).toBe(487);
  });

  it('answers a CANCEL without INVITE with 481, and a request without listener with 501', async () => {
    const [caller, callee] = [await node(), await node()];
    const outcomes = ['CANCEL', 'OPTIONS'].map(
      (method) => caller.request(newRequest(method), peerOf(callee, protocol)).outcome,
    );
    expect((await Promise.all(outcomes)).map((outcome) => finalOf(outcome).status)).toEqual([481, 501]);
  });

  it('answers malformed requests with 400 and stays alive', async () => {
    const [caller, callee] = [await node(), await node()];
    callee.on('request', (transaction) => transaction.respond(200));
    const malformed = once(callee, 'malformed');
    const stray = once(caller, 'stray');
    const bad = serialise(caller.withVia(newRequest('OPTIONS'), peerOf(callee, protocol)));
    await caller.transport.send(
      peerOf(callee, protocol),
      Buffer.from(bad.toString().replace('CSeq: 1 OPTIONS', 'CSeq: 1 INVITE')),
    );
    await malformed;
    expect((await stray)[0]).toMatchObject({ status: 400 });
    const options = caller.request(newRequest('OPTIONS'), peerOf(callee, protocol));
    expect(finalOf(await options.outcome).status).toBe(200);
  });
});

describe('client transactions over UDP', () => {
  it.each(['INVITE', 'OPTIONS'])(
    'retransmit %s and report a timeout without any response',
    async (method) => {
      const [caller, silent] = [await node(SHORT), await rawUdp()];
      const transaction = caller.request(newRequest(method), silent.peer);
      expect(await transaction.outcome).toEqual({ kind: 'timeout', provisional: false });
      const first = await silent.next();
      expect(await silent.next()).toEqual(first);
      expect(await silent.next()).toEqual(first);
    },
  );

  it('report a timeout after a provisional response apart', async () => {
    const [caller, slow] = [await node(SHORT), await rawUdp()];
    const transaction = caller.request(newRequest('OPTIONS'), slow.peer);
    const request = parseMessage(await slow.next()) as SipRequest;
    slow.socket.send(serialise(makeResponse(request, 100)), caller.transport.port, HOST);
    expect(await transaction.outcome).toEqual({ kind: 'timeout', provisional: true });
  });

  it('report a timeout 64 T1 after a CANCEL that changes nothing', async () => {
    const [caller, stubborn] = [await node(SHORT), await rawUdp()];
    const transaction = caller.request(newRequest('INVITE'), stubborn.peer);
    const request = parseMessage(await stubborn.next()) as SipRequest;
    stubborn.socket.send(serialise(makeResponse(request, 180, { toTag: 't' })), caller.transport.port, HOST);
    transaction.cancel();
    expect(await transaction.outcome).toEqual({ kind: 'timeout', provisional: true });
  });

  it.each([200, 486])('acknowledge every copy of a final response (%i)', async (status) => {
    const [caller, callee] = [await node(SHORT), await rawUdp()];
    /** On a busy machine there are copies of the INVITE in between. */
    const nextAck = async (): Promise<Buffer> => {
      for (;;) {
        const bytes = await callee.next();
        if ((parseMessage(bytes) as SipRequest).method === 'ACK') return bytes;
      }
    };
    const transaction = caller.request(newRequest('INVITE'), callee.peer);
    const request = parseMessage(await callee.next()) as SipRequest;
    const bytes = serialise(
      makeResponse(request, status, { toTag: 't', headers: [['Contact', '<sip:b@127.0.0.1>']] }),
    );
    callee.socket.send(bytes, caller.transport.port, HOST);
    const response = finalOf(await transaction.outcome);
    if (status === 200) transaction.acknowledge(Dialog.asClient(request, response).ack(1), callee.peer);
    const ack = await nextAck();
    callee.socket.send(bytes, caller.transport.port, HOST);
    expect(await nextAck()).toEqual(ack);
    const sameBranch =
      topVia(parseMessage(ack)).params.get('branch') === topVia(request).params.get('branch');
    expect(sameBranch).toBe(status === 486);
  });

  it('refuse to acknowledge what was not accepted', async () => {
    const [caller, callee] = [await node(), await node()];
    callee.on('request', (transaction) => transaction.respond(486));
    const transaction = caller.request(newRequest('INVITE'), peerOf(callee, 'udp'));
    await transaction.outcome;
    expect(() => transaction.acknowledge(newRequest('ACK'), peerOf(callee, 'udp'))).toThrow('only a 2xx');
  });

  it('report a message that is too large for UDP as transport error', async () => {
    const [caller, callee] = [await node(SHORT), await rawUdp()];
    const transaction = caller.request(newRequest('INVITE', [], 'x'.repeat(66_000)), callee.peer);
    expect(await transaction.outcome).toMatchObject({
      kind: 'transport-error',
      provisional: false,
      error: { code: 'EMSGSIZE' },
    });
  });

  it('end with ECLOSED when the layer is closed', async () => {
    const [caller, callee] = [await node(SHORT), await rawUdp()];
    const transaction = caller.request(newRequest('INVITE'), callee.peer);
    caller.close();
    expect(await transaction.outcome).toMatchObject({ kind: 'transport-error', error: { code: 'ECLOSED' } });
  });
});

describe('client transactions over TCP', () => {
  it('report a refused connection', async () => {
    const caller = await node();
    const gone = await openTransport({ address: HOST, port: 0 });
    await gone.close();
    const { outcome } = caller.request(newRequest('INVITE'), {
      protocol: 'tcp',
      address: HOST,
      port: gone.port,
    });
    expect(await outcome).toMatchObject({
      kind: 'transport-error',
      provisional: false,
      error: { code: 'ECONNREFUSED' },
    });
  });

  it('report a connection that dies with the request', async () => {
    const caller = await node();
    const server = createServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    server.listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { outcome } = caller.request(newRequest('INVITE'), { protocol: 'tcp', address: HOST, port });
    expect(await outcome).toMatchObject({ kind: 'transport-error', error: { code: 'ECONNRESET' } });
    server.close();
    await once(server, 'close');
  });
});

describe('server transactions', () => {
  const send = (socket: Socket, layer: TransactionLayer, message: SipRequest) =>
    socket.send(serialise(message), layer.transport.port, HOST);

  /** As another stack would send it: our Via, with or without rport. */
  const withRawVia = (request: SipRequest, via: string): SipRequest => ({
    ...request,
    headers: [['Via', via], ...request.headers],
  });

  it('absorb retransmissions and repeat the last response', async () => {
    const [server, client] = [await node(SHORT), await rawUdp()];
    let seen = 0;
    server.on('request', (transaction) => {
      seen++;
      transaction.respond(200);
    });
    const request = withRawVia(newRequest('OPTIONS'), `SIP/2.0/UDP ${HOST};branch=z9hG4bK1;rport`);
    send(client.socket, server, request);
    const first = await client.next();
    send(client.socket, server, request);
    expect(await client.next()).toEqual(first);
    expect(seen).toBe(1);
    expect(headerValues(parseMessage(first), 'Via')).toEqual([
      `SIP/2.0/UDP ${HOST};branch=z9hG4bK1;rport=${client.peer.port};received=${HOST}`,
    ]);
  });

  it('repeat a failure until its ACK, which is not shown to the user', async () => {
    const [server, client] = [await node(SHORT), await rawUdp()];
    const acks: SipRequest[] = [];
    server.on('request', (transaction) => transaction.respond(486));
    server.on('ack', (ack) => acks.push(ack));
    const request = withRawVia(newRequest('INVITE'), `SIP/2.0/UDP ${HOST};branch=z9hG4bK1;rport`);
    send(client.socket, server, request);
    const first = await client.next();
    expect(await client.next()).toEqual(first);
    const failed = once(server, 'failed');
    send(client.socket, server, {
      ...request,
      method: 'ACK',
      headers: request.headers.map(([name, value]) => [name, name === 'CSeq' ? '1 ACK' : value]),
    });
    // The acknowledged one has ended quietly: the first to fail is one that came later and has no ACK.
    const later = withRawVia(newRequest('INVITE'), `SIP/2.0/UDP ${HOST};branch=z9hG4bK2;rport`);
    send(client.socket, server, later);
    expect(callId((await failed)[0].request)).toBe(callId(later));
    expect(acks).toEqual([]);
  });

  it('report a failure that nobody acknowledges', async () => {
    const [server, client] = [await node(SHORT), await rawUdp()];
    server.on('request', (transaction) => transaction.respond(503));
    send(
      client.socket,
      server,
      withRawVia(newRequest('INVITE'), `SIP/2.0/UDP ${HOST};branch=z9hG4bK1;rport`),
    );
    const [transaction, failure] = await once(server, 'failed');
    expect([transaction.request.method, failure]).toEqual(['INVITE', { kind: 'timeout' }]);
  });

  it('allow one final response', async () => {
    const [caller, server] = [await node(), await node()];
    const second = Promise.withResolvers<unknown>();
    server.on('request', (transaction) => {
      transaction.respond(200);
      try {
        transaction.respond(500);
      } catch (error) {
        second.resolve(error);
      }
    });
    await caller.request(newRequest('OPTIONS'), peerOf(server, 'udp')).outcome;
    expect(await second.promise).toMatchObject({ name: 'SipStateError' });
  });

  it('answer to the port in Via without rport, to the source port if rport is forced', async () => {
    const [server, forcing] = [await node(), await node({ forceRport: true })];
    const [client, listener] = [await rawUdp(), await rawUdp()];
    for (const layer of [server, forcing]) layer.on('request', (transaction) => transaction.respond(200));
    const via = `SIP/2.0/UDP ${HOST}:${listener.peer.port};branch=z9hG4bK1`;
    send(client.socket, server, withRawVia(newRequest('OPTIONS'), via));
    expect(parseMessage(await listener.next())).toMatchObject({ status: 200 });
    send(client.socket, forcing, withRawVia(newRequest('OPTIONS'), via));
    expect(parseMessage(await client.next())).toMatchObject({ status: 200 });
  });

  it('tell RFC 2543 requests without a branch apart by Call-ID and CSeq', async () => {
    const [server, client] = [await node(SHORT), await rawUdp()];
    server.on('request', (transaction) => transaction.respond(200));
    for (let i = 0; i < 2; i++) {
      const request = withRawVia(newRequest('OPTIONS'), `SIP/2.0/UDP ${HOST}:${client.peer.port}`);
      send(client.socket, server, request);
      const answer = parseMessage(await client.next());
      expect(header(answer, 'Call-ID')).toBe(header(request, 'Call-ID'));
    }
  });

  it('take a fragmented INVITE of 60 kB over UDP', async () => {
    const [caller, server] = [await node(), await node()];
    const body = 'x'.repeat(60_000);
    server.on('request', (transaction) => transaction.respond(486));
    const seen = once(server, 'request');
    caller.request(newRequest('INVITE', [], body), peerOf(server, 'udp'));
    expect((await seen)[0].request.body.toString()).toBe(body);
  });
});

describe('openTransport', () => {
  it('reports a taken port, and can be closed twice', async () => {
    const first = await openTransport({ address: HOST, port: 0 });
    await expect(openTransport({ address: HOST, port: first.port })).rejects.toMatchObject({
      name: 'SipTransportError',
      code: 'EADDRINUSE',
    });
    await first.close();
    await first.close();
    const again = await openTransport({ address: HOST, port: first.port });
    await again.close();
    await expect(
      again.send({ protocol: 'udp', address: HOST, port: 9 }, Buffer.from('x')),
    ).rejects.toMatchObject({
      code: 'ECLOSED',
    });
  });

  it('answers CRLF keep-alives and takes several messages from one TCP segment', async () => {
    const server = await node();
    const methods: string[] = [];
    server.on('request', (transaction) => {
      methods.push(transaction.request.method);
      transaction.respond(200);
    });
    const socket = connect(server.transport.port, HOST);
    closers.push(() => {
      socket.destroy();
    });
    socket.write('\r\n\r\n');
    const [pong] = (await once(socket, 'data')) as [Buffer];
    expect(pong.toString()).toBe('\r\n');
    const both = ['OPTIONS', 'INFO'].map((method) =>
      serialise(server.withVia(newRequest(method), peerOf(server, 'tcp'))),
    );
    socket.write(Buffer.concat(both));
    let answers = '';
    while (!answers.includes('1 INFO')) answers += String((await once(socket, 'data'))[0]);
    expect(methods).toEqual(['OPTIONS', 'INFO']);
  });
});

describe('Dialog', () => {
  it('routes through record-route, loose and strict', () => {
    const request = newRequest('INVITE');
    const answer = (recordRoute: string) =>
      makeResponse(request, 200, {
        toTag: 't',
        headers: [
          ['Contact', '<sip:b@127.0.0.5:5070>'],
          ['Record-Route', recordRoute],
        ],
      });
    const loose = Dialog.asClient(request, answer('<sip:127.0.0.2;lr>, <sip:127.0.0.1;lr>'));
    expect(loose.nextHop).toBe('sip:127.0.0.1;lr');
    const bye = loose.request('BYE');
    expect([bye.uri, headerValues(bye, 'Route')]).toEqual([
      'sip:b@127.0.0.5:5070',
      ['<sip:127.0.0.1;lr>', '<sip:127.0.0.2;lr>'],
    ]);
    const strict = Dialog.asClient(request, answer('<sip:127.0.0.1>')).request('BYE');
    expect([strict.uri, headerValues(strict, 'Route')]).toEqual([
      'sip:127.0.0.1',
      ['<sip:b@127.0.0.5:5070>'],
    ]);
  });

  it('counts CSeq and follows a new Contact', () => {
    const request = newRequest('INVITE');
    const ok = makeResponse(request, 200, { toTag: 't', headers: [['Contact', '<sip:b@127.0.0.1>']] });
    const dialog = Dialog.asClient(request, ok);
    dialog.refreshTarget({ ...ok, headers: [['Contact', '<sip:c@127.0.0.1>;expires=5']] });
    dialog.refreshTarget({ ...ok, headers: [] });
    expect(dialog.request('INFO')).toMatchObject({ uri: 'sip:c@127.0.0.1' });
    expect(cseq(dialog.request('BYE')).seq).toBe(3);
  });
});
