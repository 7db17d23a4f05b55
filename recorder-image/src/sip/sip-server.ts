/**
 * drachtio-server as this recorder uses it: the narrow part of drachtio-srf that a recorder needs, typed.
 *
 * What drachtio-srf gets wrong for a recorder is kept out here, once (`reference`: its multipart parser loses metadata;
 * a dialog from the Promise form of `createUAS` misses requests that follow the ACK at once; a listener for `refresh`
 * swallows metadata updates; dialogs and answers under way are not ended when the connection is lost).
 */
import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import Srf from 'drachtio-srf';

/** All that may come outside a dialog besides INVITE: the SIP server would answer 503 to what nobody asks for. */
const OTHER_METHODS = ['options', 'info', 'message', 'notify', 'publish', 'refer', 'register', 'subscribe'];
/** Inside a dialog, besides re-INVITE; drachtio-srf would answer 200 to those that nobody listens to. */
const DIALOG_EVENTS = ['update', 'info', 'options', 'message', 'notify', 'publish', 'refer', 'subscribe'];

/** drachtio-srf waits 1.7 times longer with each try; this is where that ends. */
const RECONNECT_MAX_MS = 1_000;

/**
 * drachtio-srf sends a ping so often, and never looks for the answer: a SIP server that is frozen, or behind a connection
 * of which only our half is left, would never be missed.
 */
const PING_INTERVAL_MS = 5_000;
/** Two pings without any answer. */
const MAX_SILENCE_MS = 12_000;
const SILENCE_CHECK_MS = 1_000;

/** The connection to the SIP server broke before it told whether an answer was sent. */
export class SipServerLostError extends Error {
  constructor() {
    super('the SIP server was lost while it was sending an answer');
    this.name = 'SipServerLostError';
  }
}

export interface SipServerOptions {
  host: string;
  port: number;
  secret: string;
  /** A SIP server that says nothing for so long is lost. Default 12 s: it is asked every 5 s. */
  maxSilenceMs?: number;
}

/** A request from the SRC. `raw` is the whole message. */
export interface SipRequest {
  readonly method: string;
  /** The Request-URI. */
  readonly uri: string;
  readonly callId: string;
  readonly raw: string;
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly transport: string;
  header(name: string): string | undefined;
}

export interface SipAnswer {
  headers?: Record<string, string>;
  body?: string;
}

/** Answers a request, once. Later answers are ignored. */
export type Respond = (status: number, answer?: SipAnswer) => void;

/** What may come inside an established dialog. */
export interface DialogListeners {
  /** Any request but BYE and ACK; answered by this listener. */
  onRequest: (request: SipRequest, respond: Respond) => void;
  /** The ACK of a 2xx. */
  onAck: (request: SipRequest) => void;
  /** The dialog is over: a BYE (already answered), or the SIP server gave it up; then `reason` says why. */
  onEnd: (reason: string | undefined) => void;
}

export interface SipDialog {
  /** Ends the dialog with a BYE. Harmless when it is over. */
  bye(): void;
  /** Sends an UPDATE without an offer. `onOutcome` gets its status, or why it was not sent. */
  update(request: Required<SipAnswer>, onOutcome: (outcome: number | string) => void): void;
}

/** An INVITE that starts a dialog. */
export interface Invitation {
  readonly request: SipRequest;
  /** Does nothing if the SRC has cancelled: then the SIP server has answered. */
  refuse: Respond;
  /**
   * Answers 200. Listeners are attached before anything else of the dialog can be handled.
   * @returns the dialog, or undefined if the SRC cancelled meanwhile
   * @throws SipServerLostError if the answer may have been sent
   * @throws Error if the answer cannot be sent
   */
  accept(
    answer: { sdp: string; headers: Record<string, string> },
    listeners: DialogListeners,
  ): Promise<SipDialog | undefined>;
}

export interface SipServerListeners {
  onInvite: (invitation: Invitation) => void;
  /** Any other request outside a dialog; answered by this listener. */
  onRequest: (request: SipRequest, respond: Respond) => void;
  onConnect: (listeningOn: string) => void;
  /** The SIP server is gone, and with it every dialog: no BYE will come. drachtio-srf goes on trying to reconnect. */
  onDisconnect: () => void;
  /** It cannot be reached, or refuses us. Once for each reason until the next connection. */
  onError: (error: Error) => void;
}

export interface SipServer {
  disconnect(): void;
}

/** Connects to the SIP server, and again whenever the connection is lost. */
export function connectSipServer(
  { maxSilenceMs = MAX_SILENCE_MS, ...options }: SipServerOptions,
  listeners: SipServerListeners,
): SipServer {
  const srf = new Srf();
  const open: OpenOnes = { dialogs: new Set(), answers: new Set() };
  const reconnect: { retryMaxDelay: number; maxAttempts?: number } = { retryMaxDelay: RECONNECT_MAX_MS };
  let connected = false;
  let stopped = false;
  let told = '';

  const lost = () => {
    if (!connected) return;
    connected = false;
    for (const dialog of open.dialogs) forget(srf, dialog);
    open.dialogs.clear();
    listeners.onDisconnect();
    for (const fail of open.answers) fail(new SipServerLostError());
    open.answers.clear();
  };
  const tell = (error: Error) => {
    if (String(error) === told || stopped) return;
    told = String(error);
    listeners.onError(error);
  };
  srf.on('connect', (error: Error | null, hostPorts: string) => {
    if (error) return tell(error); // it does not know our secret
    if (stopped) return srf.disconnect();
    connected = true;
    told = '';
    listeners.onConnect(hostPorts);
  });
  (srf as EventEmitter).on('close', lost); // which its types leave out
  srf.on('error', (error) => {
    lost();
    tell(error);
  });

  srf.invite((req, res) => listeners.onInvite(invitation(srf, req, res, open)));
  for (const method of OTHER_METHODS)
    srf.use(method, (req, res) => listeners.onRequest(toRequest(req), responder(res)));
  const ping = { enablePing: true, pingInterval: PING_INTERVAL_MS };
  srf.connect({ ...options, ...ping, reconnect } as Srf.SrfConfig);
  const stopWatching = destroyWhenSilent(() => socketsOf(srf), maxSilenceMs);
  return {
    disconnect() {
      stopWatching();
      stopped = true;
      reconnect.maxAttempts = 1; // read before each try: there will be none
      if (connected) srf.disconnect();
      connected = false;
    },
  };
}

/** Of the connection to the SIP server, authenticated or not; its types leave this out. */
const socketsOf = (srf: Srf): Iterable<Socket> =>
  (srf as unknown as { app: { client: { mapServer: Map<Socket, unknown> } } }).app.client.mapServer.keys();

/**
 * Ends connections over which nothing comes any more; that is the loss of the SIP server, as any other.
 * @returns what stops the watch
 */
function destroyWhenSilent(sockets: () => Iterable<Socket>, maxSilenceMs: number): () => void {
  const heardAt = new Map<Socket, number>();
  let checkedAt = performance.now();
  const check = setInterval(() => {
    const now = performance.now();
    // Were it us who stood still, the answers would be waiting to be read.
    const stoodStill = now - checkedAt > 2 * SILENCE_CHECK_MS;
    checkedAt = now;
    for (const socket of sockets()) {
      const isNew = !heardAt.has(socket);
      if (isNew || stoodStill) heardAt.set(socket, now);
      if (isNew) {
        socket.on('data', () => heardAt.set(socket, performance.now()));
        socket.on('close', () => heardAt.delete(socket));
      }
      const silenceMs = Math.round(now - (heardAt.get(socket) ?? now));
      if (silenceMs > maxSilenceMs)
        socket.destroy(new Error(`the SIP server has said nothing for ${silenceMs} ms`));
    }
  }, SILENCE_CHECK_MS);
  return () => clearInterval(check);
}

/** What the loss of the SIP server ends. */
interface OpenOnes {
  dialogs: Set<Srf.Dialog>;
  /** For each answer under way, how to give it up. */
  answers: Set<(error: Error) => void>;
}

/** drachtio-srf keeps dialogs until their BYE, which does not come any more; its types leave this out. */
const forget = (srf: Srf, dialog: Srf.Dialog): void =>
  (srf as unknown as { removeDialog(dialog: Srf.Dialog): void }).removeDialog(dialog);

function invitation(srf: Srf, req: Srf.SrfRequest, res: Srf.SrfResponse, open: OpenOnes): Invitation {
  let cancelled = false;
  req.on('cancel', () => {
    cancelled = true;
  });
  const respond = responder(res);
  return {
    request: toRequest(req),
    refuse: (status, answer) => {
      if (!cancelled) respond(status, answer);
    },
    accept({ sdp, headers }, listeners) {
      const { promise, resolve, reject } = Promise.withResolvers<SipDialog | undefined>();
      if (cancelled) resolve(undefined);
      else {
        open.answers.add(reject);
        srf.createUAS(req, res, { localSdp: sdp, headers }, (error, dialog) => {
          open.answers.delete(reject);
          if (!error) resolve(attach(srf, dialog, listeners, open));
          else if (cancelled) resolve(undefined);
          else reject(error instanceof Error ? error : new Error(String(error)));
        });
      }
      return promise;
    },
  };
}

interface SendsRequests {
  request(uri: string, options: object, onSent: (error: unknown, sent: Srf.SrfRequest) => void): void;
}

function attach(
  srf: Srf,
  dialog: Srf.Dialog,
  { onRequest, onAck, onEnd }: DialogListeners,
  { dialogs }: OpenOnes,
): SipDialog {
  dialogs.add(dialog);
  const events = dialog as EventEmitter; // the types leave most of them out
  const handle = (req: Srf.SrfRequest, res: Srf.SrfResponse) => onRequest(toRequest(req), responder(res));
  for (const event of DIALOG_EVENTS) events.on(event, handle);
  // drachtio-srf puts off all requests but these, which would overtake what came before them.
  const handleLater = (req: Srf.SrfRequest, res: Srf.SrfResponse) => void setImmediate(handle, req, res);
  // It refuses UPDATEs before the answer to a re-INVITE, and loses those before the answer to a request of ours, unless
  // somebody listens for them on the other request.
  const adoptUpdates = (other: Srf.SrfRequest) =>
    void (other as unknown as EventEmitter).on('update', handleLater);
  events.on('modify', (req: Srf.SrfRequest, res: Srf.SrfResponse) => {
    adoptUpdates(req);
    handleLater(req, res);
  });
  events.on('ack', (req: Srf.SrfRequest) => onAck(toRequest(req)));
  dialog.on('destroy', (req) => {
    dialogs.delete(dialog);
    const byServer = req.source === 'application'; // ACK timeout, session timer expired
    onEnd(byServer ? req.get('Reason') || 'the SIP server gave no reason' : undefined);
  });
  return {
    bye() {
      if (!dialogs.delete(dialog)) return;
      dialog.destroy({ headers: {} }, () => {}); // its outcome changes nothing: the recording is closed
    },
    update({ headers, body }, onOutcome) {
      const { id, socket } = dialog as unknown as { id: string; socket: unknown };
      const request = { method: 'UPDATE', stackDialogId: id, _socket: socket, headers, body };
      const onSent = (error: unknown, sent: Srf.SrfRequest) => {
        if (error) return onOutcome(String(error));
        adoptUpdates(sent);
        sent.on('response', (response) => response && onOutcome(response.status));
      };
      // As drachtio-srf documents it; its types have other arguments. The SIP server knows the real URI.
      (srf as unknown as SendsRequests).request('sip:placeholder', request, onSent);
    },
  };
}

const toRequest = (req: Srf.SrfRequest): SipRequest => ({
  method: req.method,
  uri: req.uri,
  callId: req.get('Call-ID'),
  raw: req.raw,
  sourceAddress: req.source_address,
  sourcePort: Number(req.source_port),
  transport: req.protocol,
  header: (name) => (req.has(name) ? req.get(name) : undefined),
});

function responder(res: Srf.SrfResponse): Respond {
  let answered = false;
  return (status, { headers = {}, body } = {}) => {
    if (answered) return;
    answered = true;
    res.send(status, body === undefined ? { headers } : { headers, body });
  };
}
