/**
 * Command line of the development SIP server. A DEVELOPMENT TOOL, NEVER FOR PRODUCTION: it stands in for
 * drachtio/drachtio-server, and takes those of its options that local runs need.
 *
 *     node local/sip-server/main.ts --contact "sip:127.0.0.1:5060;transport=udp,tcp" --port 9022
 */
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import type { Protocol } from '../sip/transport.ts';
import { parseUri } from '../sip/values.ts';
import { startSipServer } from './server.ts';

/** drachtio's levels, as pino's. */
const LOG_LEVELS: Record<string, string> = {
  error: 'error',
  warning: 'warn',
  notice: 'warn',
  info: 'info',
  debug: 'debug',
};

const OPTIONS = {
  contact: { type: 'string', default: 'sip:127.0.0.1:5060;transport=udp,tcp' },
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

function sipAddress(contact: string): { address: string; port: number; protocols: Protocol[] } {
  const { host, port = 5060, params } = parseUri(contact);
  const protocols = (params.get('transport') ?? 'udp,tcp').toLowerCase().split(',');
  const known = protocols.filter((name): name is Protocol => name === 'udp' || name === 'tcp');
  if (known.length < protocols.length)
    throw new Error(`--contact: transport must be udp, tcp or udp,tcp: ${contact}`);
  return { address: host.replace(/^\[(.*)\]$/, '$1'), port, protocols: known };
}

/** One line that names the port and what to do. */
function explain(error: NodeJS.ErrnoException, contact: string, admin: string): string {
  if (error.code !== 'EADDRINUSE' && error.code !== 'EADDRNOTAVAIL') return error.message;
  const [what, option] =
    error.name === 'SipTransportError'
      ? [`SIP address ${contact}`, '--contact']
      : [`admin port ${admin}`, '--port'];
  return error.code === 'EADDRINUSE'
    ? `${what} is taken: stop what listens there, or choose another with ${option}`
    : `${what} is not an address of this host: choose one that is with ${option === '--port' ? '--address' : option}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: OPTIONS });
  const level = LOG_LEVELS[values.loglevel];
  if (!level) throw new Error(`--loglevel must be one of ${Object.keys(LOG_LEVELS).join(', ')}`);
  if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65_535)
    throw new Error('--port must be 0 to 65535');
  const log = pino({ level, name: 'development-sip-server' }, pino.destination({ dest: 2, sync: true }));
  const sip = sipAddress(values.contact);
  const admin = { address: values.address, port: Number(values.port) };

  // At once, like drachtio-server: no BYE, no drain.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
  if (values['exit-with-parent']) process.stdin.resume().on('end', () => process.exit(0));

  const server = await startSipServer({ sip, admin, secret: values.secret, log }).catch((error) =>
    fail(explain(error, values.contact, `${admin.address}:${admin.port}`)),
  );
  process.stderr.write('sip-server: DEVELOPMENT TOOL in place of drachtio-server, never for production\n');
  const ready = {
    ready: true,
    sip: { address: sip.address, port: server.sipPort },
    admin: { address: admin.address, port: server.adminPort },
  };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

await main().catch((error: Error) => fail(error.message));
