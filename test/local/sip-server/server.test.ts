import { type EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import Srf from 'drachtio-srf';
import { Dialog } from '../../../local/sip/dialog.ts';
import {
  cseq,
  type Header,
  header,
  headerValues,
  type SipRequest,
  type SipResponse,
  serialise,
  toTag,
} from '../../../local/sip/message.ts';
import type { ServerTransaction } from '../../../local/sip/transaction.ts';
import { openTransport, type Protocol, type TlsOptions } from '../../../local/sip/transport.ts';
import { encodeFrame } from '../../../local/sip-server/wire.ts';
import { type Certificates, type Identity, makeCertificates } from '../sip/certificates.ts';
import {
  ANSWER,
  app,
  call,
  caller,
  closers,
  createUas,
  type Dlg,
  disconnect,
  finalOf,
  HOST,
  inDialog,
  newRequest,
  OFFER,
  peer,
  type Req,
  type Res,
  SHORT,
  SRS_CONTACT,
  server,
} from './support.ts';

/** For the server and the caller, each of which has to show one. */
let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates.remove());

const tlsOf = ({ certificate, key }: Identity): TlsOptions => ({
  port: 0,
  certificate,
  key,
  ca: certificates.authority.certificate,
});
const tls = () => ({ server: tlsOf(certificates.server), caller: tlsOf(certificates.client) });

describe('connecting', () => {
  it('tells the application where SIP comes in', async () => {
    const started = await server({ sip: { tls: tls().server } });
    const srf = new Srf();
    void srf.connect({ host: HOST, port: started.adminPort, secret: 'example' });
    const [error, hostport, version] = await once(srf, 'connect');
    expect([error, hostport, version]).toEqual([
      null,
      `udp/${HOST}:${started.sipPort},tcp/${HOST}:${started.sipPort},tls/${HOST}:${started.tlsPort}`,
      'v0.9.10',
    ]);
    srf.disconnect();
  });

  it('refuses a wrong secret', async () => {
    const started = await server();
    const srf = new Srf();
    void srf.connect({ host: HOST, port: started.adminPort, secret: 'wrong' });
    const [error] = await once(srf, 'connect');
    expect(error).toMatchObject({ message: 'failed to authenticate to server' });
    srf.disconnect();
  });

  it.each([
    [encodeFrame('1|x|abc').toString(), 'NO|Unknown message type x'],
    [encodeFrame('1|authenticate|wrong|tag').toString(), 'NO|incorrect secret'],
    [encodeFrame('1|route|nothing').toString(), 'NO|Route request includes unsupported verb'],
    ['nonsense', ''],
  ])('disconnects an application that sends %s', async (text, reply) => {
    const { adminPort } = await server();
    const socket = connect(adminPort, HOST);
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.write(text);
    await once(socket, 'close');
    expect(answer.split('|1|')[1] ?? '').toBe(reply);
  });

  it('answers pings', async () => {
    const { adminPort } = await server();
    const socket = connect(adminPort, HOST);
    socket.write('6#1|ping');
    expect(String((await once(socket, 'data'))[0])).toMatch(/\|response\|1\|OK\|pong$/);
    socket.destroy();
  });
});

describe.each<Protocol>(['udp', 'tcp', 'tls'])('a call over %s', (protocol) => {
  it('is answered, changed, queried and ended', async () => {
    const up = await call(protocol, { tls: tls(), body: OFFER + 'a=x\r\n'.repeat(800) });
    const { ok, dlg } = up;
    expect(headerValues(ok, 'Contact')).toEqual([
      `<sip:srs@${HOST}:${peer(up.server, protocol).port}>;+sip.srs`,
    ]);
    expect([header(ok, 'Content-Type'), ok.body.toString()]).toEqual(['application/sdp', ANSWER]);
    expect(dlg.id).toBe(`${up.dialog.callId};from-tag=${up.dialog.localTag}`);
    expect(dlg.sip).toEqual({
      callId: up.dialog.callId,
      localTag: toTag(ok),
      remoteTag: up.dialog.localTag,
    });
    expect(dlg.remote.sdp).toHaveLength(OFFER.length + 4000);

    dlg.on('modify', (req: Srf.SrfRequest, res: Srf.SrfResponse) =>
      res.send(200, { body: req.body, headers: { Contact: SRS_CONTACT, 'Content-Type': 'application/sdp' } }),
    );
    const provisionals: number[] = [];
    const reinvite = up.uac.request(
      up.dialog.request('INVITE', [['Content-Type', 'application/sdp']], 'v=0\r\n'),
      up.to,
      { onProvisional: ({ status }) => provisionals.push(status) },
    );
    const changed = finalOf(await reinvite.outcome);
    expect([changed.status, changed.body.toString(), provisionals]).toEqual([200, 'v=0\r\n', [100]]);
    const acked = once(dlg, 'ack');
    reinvite.acknowledge(up.dialog.ack(up.dialog.localSeq), up.to);
    await acked;

    for (const method of ['UPDATE', 'INFO', 'OPTIONS', 'MESSAGE']) {
      const seen = once(dlg, method.toLowerCase());
      const answer = inDialog(up, method, [['X-Method', method]]);
      const [req, res] = (await seen) as [Req, Res];
      expect([req.method, req.get('X-Method'), req.stackDialogId]).toEqual([method, method, dlg.id]);
      res.send(202, { headers: { 'X-Answer': 'yes' } });
      expect(await answer).toMatchObject({
        status: 202,
        headers: expect.arrayContaining([['X-Answer', 'yes']]),
      });
    }

    const destroyed = once(dlg, 'destroy');
    expect(await inDialog(up, 'BYE')).toMatchObject({ status: 200 });
    expect((await destroyed)[1]).toBe('normal release');
    expect(await inDialog(up, 'INFO')).toMatchObject({ status: 481 });
  });

  it('carries the requests of the application', async () => {
    const up = await call(protocol, { tls: tls() });
    const requests: ServerTransaction[] = [];
    up.uac.on('request', (transaction) => {
      requests.push(transaction);
      const { method } = transaction.request;
      transaction.respond(
        200,
        method === 'INVITE'
          ? {
              headers: [
                ['Contact', `<sip:${HOST}:${up.uac.transport.portOf(protocol)};transport=${protocol}>`],
              ],
              body: OFFER,
            }
          : {},
      );
    });
    const res = await up.dlg.request({
      method: 'INFO',
      headers: { 'Content-Type': 'text/plain' },
      body: 'hello',
    });
    expect(res.status).toBe(200);
    const acked = once(up.uac, 'ack');
    await up.dlg.modify(ANSWER);
    expect(cseq((await acked)[0] as SipRequest)).toEqual({ seq: 2, method: 'ACK' });
    await up.dlg.destroy();
    expect(
      requests.map(({ request, source }) => [request.method, request.body.toString(), source.protocol]),
    ).toEqual([
      ['INFO', 'hello', protocol],
      ['INVITE', ANSWER, protocol],
      ['BYE', '', protocol],
    ]);
    await expect(up.dlg.request({ method: 'INFO' })).rejects.toMatchObject({ code: 'ENODIALOG' });
  });

  it('can be cancelled', async () => {
    const [started, uac] = [await server({ sip: { tls: tls().server } }), await caller({}, tls().caller)];
    const cancelled = Promise.withResolvers<void>();
    const refused = Promise.withResolvers<unknown>();
    await app(started, (self) =>
      self.invite((req, res) => {
        req.on('cancel', () => {
          cancelled.resolve();
          res.send(200, {}, (error) => refused.resolve(error));
        });
        res.send(180);
      }),
    );
    const invite = uac.request(newRequest('INVITE', uac, protocol), peer(started, protocol), {
      onProvisional: ({ status }) => {
        if (status === 180) invite.cancel();
      },
    });
    expect(finalOf(await invite.outcome).status).toBe(487);
    await cancelled.promise;
    expect(await refused.promise).toBe('Response not sent due to unknown transaction');
  });

  it('ends with 481 when its application is gone, and new ones with 503', async () => {
    const up = await call(protocol, { tls: tls() });
    const closed = once(up.srf as unknown as EventEmitter, 'close');
    disconnect(up.srf);
    await closed;
    const invite = up.uac.request(newRequest('INVITE', up.uac, protocol), up.to);
    expect(finalOf(await invite.outcome).status).toBe(503);
    expect(await inDialog(up, 'UPDATE')).toMatchObject({ status: 481 });
    expect(await inDialog(up, 'BYE')).toMatchObject({ status: 481 });
  });
});

describe('what drachtio-server does by itself', () => {
  it('answers 503 without an application, 481 without a dialog', async () => {
    const [started, uac] = [await server(), await caller()];
    const to = peer(started, 'udp');
    const status = async (request: SipRequest) => finalOf(await uac.request(request, to).outcome).status;
    expect(await status(newRequest('INVITE', uac, 'udp'))).toBe(503);
    expect(await status(newRequest('OPTIONS', uac, 'udp'))).toBe(503);
    for (const method of ['BYE', 'UPDATE', 'CANCEL'])
      expect(await status(newRequest(method, uac, 'udp'))).toBe(481);
    const stranger = newRequest('INVITE', uac, 'udp');
    const tagged = stranger.headers.map(
      ([name, value]): Header => [name, name === 'To' ? `${value};tag=x` : value],
    );
    expect(await status({ ...stranger, headers: tagged })).toBe(481);
  });

  it('stops asking an application that has removed its route', async () => {
    const [started, uac] = [await server(), await caller()];
    const socket = connect(started.adminPort, HOST);
    closers.push(() => {
      socket.destroy();
    });
    for (const message of ['1|authenticate|example|', '2|route|options', '3|remove_route|options']) {
      socket.write(encodeFrame(message));
      await once(socket, 'data');
    }
    const options = uac.request(newRequest('OPTIONS', uac, 'udp'), peer(started, 'udp'));
    expect(finalOf(await options.outcome).status).toBe(503);
  });

  it('shares requests among applications in turn', async () => {
    const [started, uac] = [await server(), await caller()];
    for (const name of ['a', 'b', 'c']) {
      await app(started, (self) => self.options((_, res) => res.send(200, { headers: { 'X-App': name } })));
    }
    const names: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      const { outcome } = uac.request(newRequest('OPTIONS', uac, 'tcp'), peer(started, 'tcp'));
      names.push(header(finalOf(await outcome), 'X-App'));
    }
    expect(names).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  it('tells the application where an OPTIONS came from and to', async () => {
    const [started, uac] = [await server(), await caller()];
    const seen = Promise.withResolvers<Req>();
    await app(started, (self) =>
      self.options((req, res) => {
        seen.resolve(req);
        res.send(503, { headers: { 'Retry-After': '10' } });
      }),
    );
    const { outcome } = uac.request(newRequest('OPTIONS', uac, 'udp'), peer(started, 'udp'));
    expect(header(finalOf(await outcome), 'Retry-After')).toBe('10');
    expect(await seen.promise).toMatchObject({
      source: 'network',
      source_address: HOST,
      source_port: uac.transport.port,
      protocol: 'udp',
      receivedOn: `${HOST}:${started.sipPort}`,
    });
  });

  it('shows TLS to the application as a protocol and an address of its own', async () => {
    const [started, uac] = [await server({ sip: { tls: tls().server } }), await caller({}, tls().caller)];
    const seen = Promise.withResolvers<Req>();
    await app(started, (self) =>
      self.options((req, res) => {
        seen.resolve(req);
        res.send(200);
      }),
    );
    const { outcome } = uac.request(newRequest('OPTIONS', uac, 'tls'), peer(started, 'tls'));
    expect(finalOf(await outcome).status).toBe(200);
    expect(await seen.promise).toMatchObject({
      protocol: 'tls',
      source_address: HOST,
      receivedOn: `${HOST}:${started.tlsPort}`,
    });
  });

  it('repeats a 200 over UDP until its ACK, and ends the dialog on both sides when none comes', async () => {
    const destroyed = Promise.withResolvers<unknown>();
    const up = await call('udp', {
      timing: SHORT,
      ack: false,
      onDialog: (dlg) => dlg.on('destroy', (...[, reason]: unknown[]) => destroyed.resolve(reason)),
    });
    const bye = once(up.uac, 'request') as Promise<[ServerTransaction]>;
    const copies: SipResponse[] = [];
    up.uac.transport.on('message', (message) => {
      if ('status' in message) copies.push(message);
    });
    const [transaction] = await bye;
    transaction.respond(200);
    expect([transaction.request.method, header(transaction.request, 'Reason')]).toEqual([
      'BYE',
      'SIP ;cause=200 ;text="ACK timeout"',
    ]);
    expect(await destroyed.promise).toBe('ACK timeout');
    expect(copies.length).toBeGreaterThan(5);
    expect(copies.every((copy) => serialise(copy).equals(serialise(up.ok)))).toBe(true);
    expect(await inDialog(up, 'INFO')).toMatchObject({ status: 481 });
  });

  it('does not take an ACK with another CSeq for the one it waits for', async () => {
    const up = await call('udp', { timing: SHORT, ack: false });
    const bye = once(up.uac, 'request') as Promise<[ServerTransaction]>;
    await up.uac.transport.send(up.to, serialise(up.uac.withVia(up.dialog.ack(1), up.to)));
    const [transaction] = await bye;
    transaction.respond(200);
    expect(header(transaction.request, 'Reason')).toMatch('ACK timeout');
  });

  it('passes on an ACK and a BYE from one TCP segment in order', async () => {
    const [started, uac] = [await server(), await caller()];
    const events: string[] = [];
    const ended = Promise.withResolvers<void>();
    await app(started, (self) =>
      self.invite((req, res) =>
        createUas(self, req, res, { Contact: SRS_CONTACT }, (dlg) => {
          dlg.on('ack', () => events.push('ack'));
          dlg.on('destroy', () => {
            events.push('destroy');
            ended.resolve();
          });
        }),
      ),
    );
    const to = peer(started, 'tcp');
    const invite = uac.request(
      newRequest('INVITE', uac, 'tcp', [['Content-Type', 'application/sdp']], OFFER),
      to,
    );
    const dialog = Dialog.asClient(invite.request, finalOf(await invite.outcome));
    const both = [dialog.ack(cseq(invite.request).seq), dialog.request('BYE')];
    await uac.transport.send(to, Buffer.concat(both.map((request) => serialise(uac.withVia(request, to)))));
    await ended.promise;
    // drachtio-srf itself delays the event of an ACK, and drops it after a BYE.
    expect(events.at(-1)).toBe('destroy');
  });

  it('echoes a session timer, refuses a shorter one, and ends a session that is not refreshed', async () => {
    const destroyed = Promise.withResolvers<unknown>();
    const up = await call('udp', {
      timing: SHORT,
      extra: [['Session-Expires', '90;refresher=uac']],
      onDialog: (dlg) => dlg.on('destroy', (...[, reason]: unknown[]) => destroyed.resolve(reason)),
    });
    expect(header(up.ok, 'Session-Expires')).toBe('90;refresher=uac');
    const refused = await inDialog(up, 'UPDATE', [['Session-Expires', '60']]);
    expect([refused.status, header(refused, 'Min-SE')]).toEqual([422, '90']);
    const [transaction] = (await once(up.uac, 'request')) as [ServerTransaction];
    transaction.respond(200);
    expect(header(transaction.request, 'Reason')).toBe('SIP ;cause=200 ;text="Session timer expired"');
    expect(await destroyed.promise).toBe('Session timer expired');
  });

  it('refreshes a session itself when that is its part', async () => {
    const up = await call('udp', { timing: SHORT, extra: [['Session-Expires', '90;refresher=uas']] });
    for (let i = 0; i < 2; i++) {
      const acked = once(up.uac, 'ack');
      const [transaction] = (await once(up.uac, 'request')) as [ServerTransaction];
      const { request } = transaction;
      expect([request.method, header(request, 'Session-Expires'), request.body.toString()]).toEqual([
        'INVITE',
        '90;refresher=uac',
        ANSWER,
      ]);
      transaction.respond(200, { headers: [['Session-Expires', '90;refresher=uac']], body: OFFER });
      expect(cseq((await acked)[0] as SipRequest).seq).toBe(cseq(request).seq);
    }
  });

  it('forgets a request that the application does not answer in 128 T1', async () => {
    const [started, uac] = [await server(SHORT), await caller(SHORT)];
    const late = Promise.withResolvers<unknown>();
    await app(started, (self) =>
      self.options((_, res) => {
        // The caller's own timer F runs out first, at 64 T1; the second 64 T1 are those of another request.
        res.on('late', () => res.send(200, {}, (error) => late.resolve(error)));
        unanswered.resolve(res);
      }),
    );
    const unanswered = Promise.withResolvers<Res>();
    const silent = async () =>
      (await uac.request(newRequest('OPTIONS', uac, 'udp'), peer(started, 'udp')).outcome).kind;
    expect(await silent()).toBe('timeout');
    expect(await silent()).toBe('timeout');
    expect(await silent()).toBe('timeout');
    (await unanswered.promise).emit('late');
    expect(await late.promise).toBe('Response not sent due to unknown transaction');
  });
});

describe('requests of the application outside dialogs', () => {
  it('open a dialog', async () => {
    const [started, uas] = [await server(), await caller()];
    const srf = await app(started);
    uas.on('request', (transaction) => {
      const { method } = transaction.request;
      if (method === 'INVITE') transaction.respond(180);
      transaction.respond(200, {
        headers: [['Contact', `<sip:${HOST}:${uas.transport.port}>`]],
        body: method === 'INVITE' ? ANSWER : '',
      });
    });
    const acked = once(uas, 'ack');
    const dlg = (await srf.createUAC(`sip:${HOST}:${uas.transport.port}`, {
      localSdp: OFFER,
      headers: { From: '<sip:12025550101@localhost>' },
    })) as unknown as Dlg;
    const [ack] = (await acked) as [SipRequest];
    expect(header(ack, 'From')).toMatch(`<sip:12025550101@${HOST}:${started.sipPort}>;tag=`);
    expect(dlg.remote.sdp).toBe(ANSWER);
    await dlg.destroy();
  });

  it('fail with 408 or 503 when nobody answers', async () => {
    const [started, gone] = [await server(SHORT), await openTransport({ address: HOST, port: 0 })];
    await gone.close();
    const srf = await app(started);
    const create = (transport: Protocol) =>
      srf.createUAC(`sip:${HOST}:${gone.port};transport=${transport}`, { localSdp: OFFER });
    await expect(create('udp')).rejects.toMatchObject({ status: 408 });
    await expect(create('tcp')).rejects.toMatchObject({ status: 503 });
  });

  it('can be cancelled', async () => {
    const [started, uas] = [await server(), await caller()];
    const srf = await app(started);
    uas.on('request', (transaction) => transaction.respond(180));
    uas.on('cancel', (invite) => invite.respond(487));
    const sent = Promise.withResolvers<Srf.SrfRequest>();
    const created = srf.createUAC(`sip:${HOST}:${uas.transport.port}`, { localSdp: OFFER }, {
      cbRequest: (...args: unknown[]) => sent.resolve(args[1] as Srf.SrfRequest),
    } as object);
    (await sent.promise).cancel(() => undefined);
    await expect(created).rejects.toMatchObject({ status: 487 });
  });
});

describe('what is refused to an application', () => {
  it('is a body without type, a dialog that is gone, and proxying', async () => {
    const up = await call('udp');
    await expect(up.dlg.request({ method: 'INFO', body: 'hello' })).rejects.toThrow('missing content-type');
    const started = up.server;
    const proxied = Promise.withResolvers<unknown>();
    const other = await app(started, (self) =>
      self.options((req, res) => {
        req.proxy({ destination: 'sip:127.0.0.1' }).catch((error) => {
          proxied.resolve(error);
          res.send(500);
        });
      }),
    );
    expect(other).toBeDefined();
    await up.uac.request(newRequest('OPTIONS', up.uac, 'udp'), up.to).outcome;
    expect(await proxied.promise).toMatch('does not proxy');
  });
});

describe('rubbish', () => {
  it('is counted, answered where it can be, and harms nothing', async () => {
    const up = await call('udp');
    const good = serialise(up.uac.withVia(newRequest('OPTIONS', up.uac, 'udp'), up.to)).toString();
    const bad = [
      'rubbish\r\n\r\n',
      good.replace('OPTIONS sip', 'OPTIONS\0sip'),
      good.replace('1002417742', 'x'),
      good.replace('Content-Length: 0', 'Content-Length: 99'),
      good.replace(/Call-ID: .*/, 'Call-ID'),
    ];
    for (const text of bad) await up.uac.transport.send(up.to, Buffer.from(text));
    const odd = [
      ['Contact', '*'],
      ['Contact', 'nonsense'],
      ['Contact', '<mailto:a@example.com>'],
      ['Record-Route', '<<>>'],
    ] as Header[];
    for (const [name, value] of odd) {
      const request = newRequest('INVITE', up.uac, 'udp');
      const headers = request.headers.map((line): Header => (line[0] === name ? [name, value] : line));
      const withOdd = name === 'Contact' ? headers : [...headers, [name, value] as Header];
      const { outcome } = up.uac.request({ ...request, headers: withOdd }, up.to);
      await outcome;
    }
    // The Contact that is no name-addr is the only one of these to be refused.
    expect(up.server.malformedCount()).toBe(bad.length + 1);
    up.dlg.on('info', (_: unknown, res: Srf.SrfResponse) => res.send(200));
    expect(await inDialog(up, 'INFO')).toMatchObject({ status: 200 });
  });

  it('survives damage to any byte of a request', async () => {
    const up = await call('udp');
    const info = serialise(
      up.uac.withVia(up.dialog.request('INFO', [['Contact', '<sip:a@127.0.0.1>']]), up.to),
    );
    for (let i = 0; i < info.length; i++) {
      const bytes = Buffer.from(info);
      bytes[i] = i % 2 === 0 ? 0 : 0x3c;
      await up.uac.transport.send(up.to, bytes);
    }
    expect(await inDialog(up, 'INFO')).toMatchObject({ status: 200 });
    expect(up.server.malformedCount()).toBeGreaterThan(20);
  });
});

describe('large INVITEs', () => {
  it.each([4000, 60_000])('of %d bytes arrive whole over UDP', async (size) => {
    const up = await call('udp', { body: OFFER + 'x'.repeat(size) });
    expect(up.dlg.remote.sdp).toBe(OFFER + 'x'.repeat(size));
  });
});
