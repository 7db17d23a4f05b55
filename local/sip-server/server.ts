/**
 * The development SIP server: speaks drachtio-server's wire protocol to applications and SIP to the network, so that
 * drachtio-srf and the recorder run on a machine without drachtio/drachtio-server 0.9.10.
 *
 * A DEVELOPMENT TOOL, NEVER FOR PRODUCTION: no limits against abuse, no proxying, no CDRs.
 */
import { type Logger, pino } from 'pino';
import { type Timers, timers } from '../sip/timing.ts';
import { TransactionLayer } from '../sip/transaction.ts';
import { openTransport, type Protocol, type TlsOptions } from '../sip/transport.ts';
import { type Apps, listenForApps } from './apps.ts';
import type { Core } from './core.ts';
import { DialogTable } from './dialogs.ts';
import { receiveAck, receiveCancel, receiveRequest } from './incoming.ts';
import { receiveFromApp } from './outgoing.ts';

export interface SipServerOptions {
  /** Where SIP comes in. Default 127.0.0.1, a port of the system's choice, UDP and TCP, no TLS. */
  sip?: { address?: string; port?: number; protocols?: readonly ('udp' | 'tcp')[]; tls?: TlsOptions };
  /** Where applications connect. Default 127.0.0.1 and a port of the system's choice. */
  admin?: { address?: string; port?: number };
  /** What applications authenticate with. Default `cymru`, as in drachtio's packaged configuration. */
  secret?: string;
  /** RFC 3261's T1 in ms. Every other time shrinks with it, session timers and the wait for the application too. */
  t1Ms?: number;
  /** Default: silent. */
  log?: Logger;
}

export interface SipServer {
  /** Of UDP and TCP. */
  sipPort: number;
  tlsPort: number | undefined;
  adminPort: number;
  /** How many packets from the network were no usable SIP. */
  malformedCount(): number;
  /** Closes everything at once, as drachtio-server does: no BYE, no drain. May be called again. */
  close(): Promise<void>;
}

/**
 * Starts a server in this process.
 * @throws SipTransportError or the system's error if a port cannot be opened; nothing stays open then
 */
export async function startSipServer(options: SipServerOptions = {}): Promise<SipServer> {
  const { sip = {}, admin = {}, secret = 'cymru', t1Ms, log = pino({ level: 'silent' }) } = options;
  const plain = sip.protocols ?? ['udp', 'tcp'];
  const transport = await openTransport({
    address: sip.address ?? '127.0.0.1',
    port: sip.port ?? 0,
    protocols: plain,
    ...(sip.tls && { tls: sip.tls }),
  });
  const protocols: readonly Protocol[] = sip.tls ? [...plain, 'tls'] : plain;
  const hostports = () =>
    protocols.map((name) => `${name}/${transport.address}:${transport.portOf(name)}`).join(',');
  let apps: Apps;
  try {
    const { address = '127.0.0.1', port = 0 } = admin;
    apps = await listenForApps({ address, port, secret, hostports, log });
  } catch (error) {
    await transport.close();
    throw error;
  }

  const clock: Timers = timers();
  const layer = new TransactionLayer(transport, { ...(t1Ms ? { t1Ms } : {}), forceRport: true });
  const core: Core = {
    layer,
    apps,
    dialogs: new DialogTable(),
    pending: new Map(),
    sent: new Map(),
    timers: clock,
    log,
  };
  let malformed = 0;
  layer.on('request', (transaction) => receiveRequest(core, transaction));
  layer.on('ack', (ack, source) => receiveAck(core, ack, source));
  layer.on('cancel', (invite, cancel, source) => receiveCancel(core, invite, cancel, source));
  layer.on('failed', ({ request }, failure) =>
    log.warn({ method: request.method, failure }, 'answer not delivered'),
  );
  layer.on('malformed', (error, source) => {
    malformed++;
    log.warn({ err: error, source, malformed }, 'malformed SIP');
  });
  transport.on('refused', (error) => log.warn({ err: error }, 'TLS connection refused'));
  apps.on('sip', (app, message) => receiveFromApp(core, app, message));

  let closing: Promise<void> | undefined;
  const close = async () => {
    clock.clear();
    core.dialogs.clear();
    await apps.close();
    layer.close();
    await transport.close();
  };
  return {
    sipPort: transport.port,
    tlsPort: transport.tlsPort,
    adminPort: apps.port,
    malformedCount: () => malformed,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
