/**
 * Command line of the development SIP server. A DEVELOPMENT TOOL, NEVER FOR PRODUCTION: it stands in for
 * drachtio/drachtio-server, and takes those of its options that local runs need.
 *
 *     node local/sip-server/main.ts --contact "sip:127.0.0.1:5060;transport=udp,tcp" --port 9022
 *
 * With TLS, also: --contact "sips:127.0.0.1:5061;transport=tls" --cert-file cert.pem --key-file key.pem. As in
 * drachtio-server, DRACHTIO_TLS_VERIFY_CLIENT_CERT=1 in the environment lets in only clients with a certificate that
 * the authorities in --chain-file have signed.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { uriDestination } from '../sip/dialog.ts';
import type { TlsOptions } from '../sip/transport.ts';
import { parseUri } from '../sip/values.ts';
import { type SipServerOptions, startSipServer } from './server.ts';

/** drachtio's levels, as pino's. */
const LOG_LEVELS: Record<string, string> = {
  error: 'error',
  warning: 'warn',
  notice: 'warn',
  info: 'info',
  debug: 'debug',
};

const DEFAULT_CONTACTS = ['sip:127.0.0.1:5060;transport=udp,tcp'];

const OPTIONS = {
  contact: { type: 'string', multiple: true },
  'cert-file': { type: 'string' },
  'key-file': { type: 'string' },
  'chain-file': { type: 'string' },
  port: { type: 'string', default: '9022' },
  address: { type: 'string', default: '127.0.0.1' },
  secret: { type: 'string', default: 'cymru' },
  loglevel: { type: 'string', default: 'warning' },
  'exit-with-parent': { type: 'boolean', default: false },
} as const;

function fail(message: string): never {
  process.stderr.write(`sip-server: ${message}\n`);
  process.exit(1);
}

interface TlsFiles {
  cert: string | undefined;
  key: string | undefined;
  chain: string | undefined;
  verifyClients: boolean;
}

/** What the --contact options ask for: at most one for UDP and TCP and one for TLS, on one address. */
function sipSockets(contacts: readonly string[], files: TlsFiles): NonNullable<SipServerOptions['sip']> {
  const plain = contacts.filter((contact) => uriDestination(contact).protocol !== 'tls');
  const secure = contacts.filter((contact) => uriDestination(contact).protocol === 'tls');
  const addresses = new Set(contacts.map((contact) => uriDestination(contact).address));
  if (plain.length > 1 || secure.length > 1 || addresses.size > 1)
    throw new Error('--contact: one for UDP and TCP and one for TLS, both with the same address');
  const [tlsContact] = secure;
  return {
    address: [...addresses][0] ?? '',
    ...(plain[0] === undefined ? { protocols: [] } : plainSockets(plain[0])),
    ...(tlsContact !== undefined && { tls: tlsOptions(uriDestination(tlsContact).port, files) }),
  };
}

function plainSockets(contact: string): { port: number; protocols: readonly ('udp' | 'tcp')[] } {
  const { port = 5060, params } = parseUri(contact);
  const names = (params.get('transport') ?? 'udp,tcp').toLowerCase().split(',');
  const protocols = names.filter((name) => name === 'udp' || name === 'tcp');
  if (protocols.length < names.length)
    throw new Error(`--contact: transport must be udp, tcp, udp,tcp or tls: ${contact}`);
  return { port, protocols };
}

function tlsOptions(port: number, { cert, key, chain, verifyClients }: TlsFiles): TlsOptions {
  if (!cert || !key) throw new Error('--contact with TLS needs --cert-file and --key-file');
  if (verifyClients && !chain)
    throw new Error('DRACHTIO_TLS_VERIFY_CLIENT_CERT needs the authorities of the clients in --chain-file');
  const authorities = chain ? readFileSync(chain, 'utf8') : '';
  return {
    port,
    certificate: readFileSync(cert, 'utf8') + authorities,
    key: readFileSync(key, 'utf8'),
    ...(verifyClients && { ca: authorities }),
  };
}

/** One line that names the port and what to do. */
function explain(error: NodeJS.ErrnoException, contacts: readonly string[], admin: string): string {
  if (error.code !== 'EADDRINUSE' && error.code !== 'EADDRNOTAVAIL') return error.message;
  const [what, option] =
    error.name === 'SipTransportError'
      ? [`SIP address ${contacts.join(' or ')}`, '--contact']
      : [`admin port ${admin}`, '--port'];
  return error.code === 'EADDRINUSE'
    ? `${what} is taken: stop what listens there, or choose another with ${option}`
    : `${what} is not an address of this host: choose one that is with ${option === '--port' ? '--address' : option}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: OPTIONS });
  const { contact: contacts = DEFAULT_CONTACTS } = values;
  const level = LOG_LEVELS[values.loglevel];
  if (!level) throw new Error(`--loglevel must be one of ${Object.keys(LOG_LEVELS).join(', ')}`);
  if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535)
    throw new Error('--port must be 0 to 65535');
  const log = pino({ level, name: 'development-sip-server' }, pino.destination({ dest: 2, sync: true }));
  const sip = sipSockets(contacts, {
    cert: values['cert-file'],
    key: values['key-file'],
    chain: values['chain-file'],
    verifyClients: process.env.DRACHTIO_TLS_VERIFY_CLIENT_CERT === '1',
  });
  const admin = { address: values.address, port: Number(values.port) };

  // At once, like drachtio-server: no BYE, no drain.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
  if (values['exit-with-parent']) process.stdin.resume().on('end', () => process.exit(0));

  const server = await startSipServer({ sip, admin, secret: values.secret, log }).catch((error) =>
    fail(explain(error, contacts, `${admin.address}:${admin.port}`)),
  );
  process.stderr.write('sip-server: DEVELOPMENT TOOL in place of drachtio-server, never for production\n');
  const ready = {
    ready: true,
    sip: { address: sip.address, port: server.sipPort, tlsPort: server.tlsPort },
    admin: { address: admin.address, port: server.adminPort },
  };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

await main().catch((error: Error) => fail(error.message));
