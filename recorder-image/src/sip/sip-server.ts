/**
 * drachtio-server as this recorder uses it: the narrow part of drachtio-srf that a recorder needs, typed.
 *
 * What drachtio-srf gets wrong for a recorder is kept out here, once (`reference`: its multipart parser loses metadata;
 * a dialog from the Promise form of `createUAS` misses requests that follow the ACK at once; a listener for `refresh`
 * swallows metadata updates; dialogs are not ended when the connection is lost).
 */
import Srf from 'drachtio-srf';

export interface SipServerOptions {
  host: string;
  port: number;
  secret: string;
}

/** A request from the SRC. `raw` is the whole message. */
export interface SipRequest {
  readonly method: string;
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

/** What may come inside an established dialog. A request is answered by its listener. */
export interface DialogListeners {
  onModify: (request: SipRequest, respond: Respond) => void;
  onUpdate: (request: SipRequest, respond: Respond) => void;
  /** The dialog is over: a BYE (already answered), or the SIP server gave it up; then `reason` says why. */
  onEnd: (reason: string | undefined) => void;
}

export interface SipDialog {
  /** Ends the dialog with a BYE. Harmless when it is over. */
  bye(): void;
}

/** An INVITE that starts a dialog. */
export interface Invitation {
  readonly request: SipRequest;
  /** Called if the SRC cancels before the answer; nothing is to be answered then. */
  onCancel(listener: () => void): void;
  refuse: Respond;
  /**
   * Answers 200. Listeners are attached before anything else of the dialog can be handled.
   * @returns the dialog, or undefined if the SRC cancelled meanwhile
   * @throws Error if the answer cannot be sent
   */
  accept(
    answer: { sdp: string; headers: Record<string, string> },
    listeners: DialogListeners,
  ): Promise<SipDialog | undefined>;
}

export interface SipServerListeners {
  onInvite: (invitation: Invitation) => void;
  onOptions: (request: SipRequest, respond: Respond) => void;
  onConnect: (listeningOn: string) => void;
  /** The SIP server is gone, and with it every dialog: no BYE will come. drachtio-srf goes on trying to reconnect. */
  onDisconnect: () => void;
}

export interface SipServer {
  disconnect(): void;
}

/** Connects to the SIP server, and again whenever the connection is lost. */
export function connectSipServer(options: SipServerOptions, listeners: SipServerListeners): SipServer {
  const srf = new Srf();
  let connected = false;
  const lost = () => {
    if (connected) listeners.onDisconnect();
    connected = false;
  };
  srf.on('connect', (error: Error | null, hostPorts: string) => {
    if (error) return lost();
    connected = true;
    listeners.onConnect(hostPorts);
  });
  srf.on('disconnect', lost);
  srf.on('error', lost); // refused or reset; srf retries by itself

  srf.invite((req, res) => listeners.onInvite(invitation(srf, req, res)));
  srf.use('options', (req, res) => listeners.onOptions(toRequest(req), responder(res)));
  srf.connect(options);
  return { disconnect: () => srf.disconnect() };
}

function invitation(srf: Srf, req: Srf.SrfRequest, res: Srf.SrfResponse): Invitation {
  let cancelled = false;
  let onCancel = () => {};
  req.on('cancel', () => {
    cancelled = true;
    onCancel();
  });
  const respond = responder(res);
  return {
    request: toRequest(req),
    onCancel(listener) {
      onCancel = listener;
      if (cancelled) listener();
    },
    refuse: (status, answer) => {
      if (!cancelled) respond(status, answer);
    },
    accept: ({ sdp, headers }, listeners) =>
      new Promise((resolve, reject) => {
        if (cancelled) return resolve(undefined);
        srf.createUAS(req, res, { localSdp: sdp, headers }, (error, dialog) => {
          if (error) return cancelled || error.status === 487 ? resolve(undefined) : reject(error);
          resolve(attach(dialog, listeners));
        });
      }),
  };
}

function attach(dialog: Srf.Dialog, { onModify, onUpdate, onEnd }: DialogListeners): SipDialog {
  let over = false;
  dialog.on('modify', (req, res) => onModify(toRequest(req), responder(res)));
  dialog.on('update', (req, res) => onUpdate(toRequest(req), responder(res)));
  dialog.on('destroy', (req) => {
    over = true;
    const byServer = req?.source === 'application'; // ACK timeout, session timer expired
    onEnd(byServer ? req.get('Reason') || 'the SIP server gave no reason' : undefined);
  });
  return {
    bye() {
      if (over) return;
      over = true;
      dialog.destroy({ headers: {} }, () => {}); // its outcome changes nothing: the recording is closed
    },
  };
}

const toRequest = (req: Srf.SrfRequest): SipRequest => ({
  method: req.method,
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
