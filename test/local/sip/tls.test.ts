import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { type ConnectionOptions, connect, type SecureVersion } from 'node:tls';
import { Dialog, uriDestination } from '../../../local/sip/dialog.ts';
import { type Header, makeRequest, type SipRequest, topVia } from '../../../local/sip/message.ts';
import { TransactionLayer } from '../../../local/sip/transaction.ts';
import {
  openTransport,
  type Peer,
  type SipTransport,
  type TlsOptions,
} from '../../../local/sip/transport.ts';
import { newCallId, newTag } from '../../../local/sip/values.ts';
import { type Certificates, type Identity, makeCertificates } from './certificates.ts';

const HOST = '127.0.0.1';

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates.remove());

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function node(tls: TlsOptions | undefined): Promise<TransactionLayer> {
  const transport = await openTransport({ address: HOST, port: 0, ...(tls && { tls }) });
  const layer = new TransactionLayer(transport);
  closers.push(async () => {
    layer.close();
    await transport.close();
  });
  return layer;
}

const tlsOptions = ({ certificate, key }: Identity, mutual = true): TlsOptions => ({
  port: 0,
  certificate,
  key,
  ...(mutual && { ca: certificates.authority.certificate }),
});

const over = (transport: SipTransport): Peer => ({
  protocol: 'tls',
  address: HOST,
  port: transport.portOf('tls'),
});

function newRequest(method: string, extra: Header[] = []): SipRequest {
  return makeRequest(method, 'sips:127.0.0.1', [
    ['Max-Forwards', '70'],
    ['From', `<sips:a@example.com>;tag=${newTag()}`],
    ['To', '<sips:b@example.com>'],
    ['Call-ID', newCallId('example.com')],
    ['CSeq', `1 ${method}`],
    ...extra,
  ]);
}

/** A TLS client without SIP, until its connection has ended: the code of its error, if there was one. */
async function ending(port: number, options: ConnectionOptions): Promise<string | undefined> {
  const socket = connect({ host: HOST, port, ca: certificates.authority.certificate, ...options });
  let code: string | undefined;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  // TLS 1.3: the client is done before the server has looked at its certificate.
  await new Promise((resolve) => socket.resume().on('close', resolve));
  return code;
}

describe('SIP over TLS', () => {
  it('carries a call whose requests all use the one connection, in both directions', async () => {
    const caller = await node(tlsOptions(certificates.client));
    const callee = await node(tlsOptions(certificates.server));
    const contact = ({ transport }: TransactionLayer): Header[] => [
      ['Contact', `<sips:${HOST}:${transport.tlsPort}>`],
    ];
    const connections: Peer[] = [];
    callee.on('request', (transaction) => {
      connections.push(transaction.source);
      transaction.respond(200, { headers: contact(callee) });
    });
    caller.on('request', (transaction) => {
      connections.push(transaction.source);
      transaction.respond(200);
    });
    const dialogs = Promise.withResolvers<Dialog>();
    callee.once('request', ({ request }) =>
      dialogs.resolve(Dialog.asServer(request, { ...request, status: 200, reason: 'OK' })),
    );
    const invite = caller.request(newRequest('INVITE', contact(caller)), over(callee.transport));
    const outcome = await invite.outcome;
    if (outcome.kind !== 'response') throw new Error(outcome.kind);
    expect(topVia(invite.request)).toMatchObject({ protocol: 'tls', port: caller.transport.tlsPort });
    const dialog = Dialog.asClient(invite.request, outcome.response);
    expect(uriDestination(dialog.nextHop)).toEqual(over(callee.transport));
    const acked = once(callee, 'ack') as Promise<[SipRequest, Peer]>;
    invite.acknowledge(dialog.ack(1), over(callee.transport));
    const [, source] = await acked;
    await caller.request(dialog.request('INFO'), over(callee.transport)).outcome;
    const bye = callee.request((await dialogs.promise).request('BYE'), source);
    expect(await bye.outcome).toMatchObject({ kind: 'response', response: { status: 200 } });
    expect(connections).toEqual([source, source, over(callee.transport)]);
  });

  it('asks nobody for a certificate without authorities', async () => {
    const [caller, callee] = [await node(tlsOptions(certificates.stranger)), await node(undefined)];
    const open = await node(tlsOptions(certificates.server, false));
    open.on('request', (transaction) => transaction.respond(200));
    const { outcome } = caller.request(newRequest('OPTIONS'), over(open.transport));
    expect(await outcome).toMatchObject({ kind: 'response', response: { status: 200 } });
    expect(callee.transport.tlsPort).toBeUndefined();
  });

  it.each<[string, (made: Certificates) => ConnectionOptions, string]>([
    ['no certificate', () => ({}), 'peer did not return a certificate'],
    [
      'a certificate of another authority',
      ({ stranger: { certificate: cert, key } }) => ({ cert, key }),
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    ],
  ])('refuses who shows %s, and says so', async (_, shown, reason) => {
    const { transport } = await node(tlsOptions(certificates.server));
    const refused = once(transport, 'refused');
    await ending(transport.portOf('tls'), shown(certificates));
    expect((await refused)[0]).toMatchObject({
      name: 'SipTransportError',
      message: expect.stringMatching(reason),
    });
  });

  it.each<SecureVersion>(['TLSv1', 'TLSv1.1'])('refuses %s', async (version) => {
    const { transport } = await node(tlsOptions(certificates.server, false));
    const refused = once(transport, 'refused');
    const old: ConnectionOptions = { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' };
    expect(await ending(transport.portOf('tls'), old)).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    expect((await refused)[0]).toMatchObject({ code: 'ERR_SSL_UNSUPPORTED_PROTOCOL' });
  });

  it('accepts TLS 1.2 and 1.3', async () => {
    const { transport } = await node(tlsOptions(certificates.server, false));
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = connect({
        host: HOST,
        port: transport.portOf('tls'),
        ca: certificates.authority.certificate,
        minVersion: version,
        maxVersion: version,
      });
      await once(socket, 'secureConnect');
      expect(socket.getProtocol()).toBe(version);
      socket.destroy();
    }
  });

  it.each<[string, keyof Omit<Certificates, 'remove'>, string]>([
    ['of another authority', 'stranger', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['for another host', 'elsewhere', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('does not talk to a server with a certificate %s', async (_, identity, code) => {
    const caller = await node(tlsOptions(certificates.client));
    const callee = await node(tlsOptions(certificates[identity], false));
    const { outcome } = caller.request(newRequest('OPTIONS'), over(callee.transport));
    expect(await outcome).toMatchObject({ kind: 'transport-error', error: { code } });
  });

  it('reports a request that is refused for our certificate', async () => {
    const caller = await node(tlsOptions(certificates.stranger));
    const callee = await node(tlsOptions(certificates.server));
    const { outcome } = caller.request(newRequest('OPTIONS'), over(callee.transport));
    expect(await outcome).toMatchObject({ kind: 'transport-error', error: { name: 'SipTransportError' } });
  });

  it('is not spoken by a transport without certificate', async () => {
    const [caller, callee] = [await node(undefined), await node(tlsOptions(certificates.server))];
    const { outcome } = caller.request(newRequest('OPTIONS'), over(callee.transport));
    expect(await outcome).toMatchObject({ kind: 'transport-error', error: { code: 'EPROTONOSUPPORT' } });
  });

  it('closes at once, also under a handshake that never comes', async () => {
    const { transport } = await node(tlsOptions(certificates.server));
    const socket = connectTcp(transport.portOf('tls'), HOST);
    const closed = once(socket, 'close');
    const ping = await node(tlsOptions(certificates.client));
    // The silent connection came first: once a later one has been served, the server has both.
    await once(socket, 'connect');
    await ping.request(newRequest('OPTIONS'), over(transport)).outcome;
    await transport.close();
    await closed;
    await expect(
      openTransport({
        address: HOST,
        port: 0,
        tls: { ...tlsOptions(certificates.server), port: transport.portOf('tls') },
      }).then((again) => again.close()),
    ).resolves.toBeUndefined();
  });

  it('needs a usable key and a free port, and leaves nothing open otherwise', async () => {
    const { transport } = await node(tlsOptions(certificates.server));
    const taken = { ...tlsOptions(certificates.server), port: transport.portOf('tls') };
    await expect(openTransport({ address: HOST, port: 0, tls: taken })).rejects.toMatchObject({
      name: 'SipTransportError',
      code: 'EADDRINUSE',
    });
    const mismatched = { ...tlsOptions(certificates.server), key: certificates.client.key };
    await expect(openTransport({ address: HOST, port: 0, tls: mismatched })).rejects.toMatchObject({
      name: 'SipTransportError',
      code: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH',
    });
  });
});

describe('uriDestination', () => {
  it.each<[string, Peer]>([
    ['sips:srs@127.0.0.1', { protocol: 'tls', address: HOST, port: 5061 }],
    ['sips:srs@127.0.0.1:6061;transport=tcp', { protocol: 'tls', address: HOST, port: 6061 }],
    ['sip:srs@127.0.0.1;transport=TLS', { protocol: 'tls', address: HOST, port: 5061 }],
    ['sip:srs@[::1];transport=tcp', { protocol: 'tcp', address: '::1', port: 5060 }],
  ])('finds where %s leads', (uri, destination) => {
    expect(uriDestination(uri)).toEqual(destination);
  });
});
