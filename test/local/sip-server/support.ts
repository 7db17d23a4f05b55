/** A development SIP server, an application on drachtio-srf and a caller: all that a test has started is stopped after it. */
import { type EventEmitter, once } from 'node:events';
import Srf from 'drachtio-srf';
import { Dialog } from '../../../local/sip/dialog.ts';
import {
  cseq,
  type Header,
  makeRequest,
  type SipRequest,
  type SipResponse,
} from '../../../local/sip/message.ts';
import { type Outcome, TransactionLayer } from '../../../local/sip/transaction.ts';
import { openTransport, type Peer, type Protocol, type TlsOptions } from '../../../local/sip/transport.ts';
import { newCallId, newTag } from '../../../local/sip/values.ts';
import { type SipServer, type SipServerOptions, startSipServer } from '../../../local/sip-server/server.ts';

export const HOST = '127.0.0.1';
/**
 * For tests that wait for a timer: 64 T1 is then 320 ms, the wait for the application 640 ms, and a session timer
 * of 90 s 900 ms. The others keep the standard's T1, so that a busy machine causes no retransmission.
 */
export const SHORT = { t1Ms: 5 };
export const OFFER = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n';
export const ANSWER = OFFER.replace('- 1 1', '- 2 2');
export const SRS_CONTACT = '<sip:srs@localhost>;+sip.srs';

// What drachtio-srf's own types leave out.
type Meta = { stackDialogId?: string; stackTxnId: string; receivedOn?: string };
export type Req = Srf.SrfRequest &
  Meta & { proxy(opts: object): Promise<unknown>; on(event: 'cancel', cb: () => void): void };
type Send = (
  status: number,
  opts?: object,
  callback?: (error: unknown, message: Srf.SipMessage) => void,
) => void;
export type Res = Omit<Srf.SrfResponse, 'send'> & { send: Send } & EventEmitter;
export type Dlg = Omit<Srf.Dialog, 'request'> & {
  id: string;
  request(opts: object): Promise<Srf.SrfResponse>;
  destroy(): Promise<unknown>;
};
type Handle = (handler: (req: Req, res: Res) => void) => void;
export type App = Omit<Srf, 'invite'> & { invite: Handle; options: Handle };

export const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

export async function server(options: Omit<SipServerOptions, 'secret'> = {}): Promise<SipServer> {
  const started = await startSipServer({ secret: 'example', ...options });
  closers.push(() => started.close());
  return started;
}

/** Connected, with its INVITE handler in place before any call. */
export async function app({ adminPort }: SipServer, prepare: (srf: App) => void = () => {}): Promise<App> {
  const srf = new Srf() as unknown as App;
  prepare(srf);
  void srf.connect({ host: HOST, port: adminPort, secret: 'example' });
  const [error] = await once(srf, 'connect');
  expect(error).toBeNull();
  closers.push(() => disconnect(srf));
  // drachtio-srf has sent its routes by now, and the server reads them before a request that comes later.
  return srf;
}

/** Once only: drachtio-srf asserts on a connection that it no longer has. */
const disconnected = new WeakSet<App>();
export function disconnect(srf: App): void {
  if (disconnected.has(srf)) return;
  disconnected.add(srf);
  srf.disconnect();
}

export async function caller(timing: { t1Ms?: number } = {}, tls?: TlsOptions): Promise<TransactionLayer> {
  const transport = await openTransport({ address: HOST, port: 0, ...(tls && { tls }) });
  const layer = new TransactionLayer(transport, timing);
  closers.push(async () => {
    layer.close();
    await transport.close();
  });
  return layer;
}

export const peer = ({ sipPort, tlsPort }: SipServer, protocol: Protocol): Peer => ({
  protocol,
  address: HOST,
  port: (protocol === 'tls' && tlsPort) || sipPort,
});

export function newRequest(
  method: string,
  uac: TransactionLayer,
  protocol: Protocol,
  extra: Header[] = [],
  body = '',
): SipRequest {
  return makeRequest(
    method,
    'sip:127.0.0.1',
    [
      ['Max-Forwards', '70'],
      ['From', `"Alice"<sip:+12025550101@example.com;user=phone>;tag=${newTag()}`],
      ['To', '<sip:127.0.0.1>'],
      ['Call-ID', newCallId('example.com')],
      ['CSeq', `1002417742 ${method}`],
      ['Contact', `<sip:${HOST}:${uac.transport.portOf(protocol)};transport=${protocol}>;src`],
      ...extra,
    ],
    body,
  );
}

export const finalOf = (outcome: Outcome): SipResponse => {
  if (outcome.kind !== 'response') throw new Error(`no response but ${outcome.kind}`);
  return outcome.response;
};

/** A dialog that is up: both ends of it. */
export interface Call {
  server: SipServer;
  uac: TransactionLayer;
  to: Peer;
  dialog: Dialog;
  ok: SipResponse;
  srf: App;
  dlg: Dlg;
}

export const createUas = (
  srf: App,
  req: Req,
  res: Res,
  headers: Record<string, string>,
  done: (dlg: Dlg) => void,
) =>
  srf.createUAS(req, res as unknown as Srf.SrfResponse, { localSdp: ANSWER, headers }, (error, dlg) => {
    if (error) throw error;
    done(dlg as unknown as Dlg);
  });

export async function call(
  protocol: Protocol,
  {
    extra = [],
    ack = true,
    body = OFFER,
    onDialog = () => {},
    timing = {},
    tls,
  }: {
    extra?: Header[];
    ack?: boolean;
    body?: string;
    onDialog?: (dlg: Dlg) => void;
    timing?: { t1Ms?: number };
    /** The certificates of server and caller. */
    tls?: { server: TlsOptions; caller: TlsOptions };
  } = {},
): Promise<Call> {
  const [started, uac] = [
    await server({ ...timing, ...(tls && { sip: { tls: tls.server } }) }),
    await caller(timing, tls?.caller),
  ];
  const dialogs = Promise.withResolvers<Dlg>();
  const srf = await app(started, (self) =>
    self.invite((req, res) =>
      createUas(self, req, res, { Contact: SRS_CONTACT, Allow: 'INVITE, BYE' }, (dlg) => {
        onDialog(dlg);
        dialogs.resolve(dlg);
      }),
    ),
  );
  const to = peer(started, protocol);
  const invite = uac.request(
    newRequest('INVITE', uac, protocol, [['Content-Type', 'application/sdp'], ...extra], body),
    to,
  );
  const ok = finalOf(await invite.outcome);
  const dialog = Dialog.asClient(invite.request, ok);
  const dlg = await dialogs.promise;
  if (ack) {
    const acked = once(dlg, 'ack');
    invite.acknowledge(dialog.ack(cseq(invite.request).seq), to);
    await acked;
  }
  return { server: started, uac, to, dialog, ok, srf, dlg };
}

export const inDialog = async (
  { uac, to, dialog }: Call,
  method: string,
  headers: Header[] = [],
  body?: string,
) => finalOf(await uac.request(dialog.request(method, headers, body), to).outcome);
