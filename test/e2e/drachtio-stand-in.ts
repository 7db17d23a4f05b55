/**
 * Stands in for the drachtio binary, which tests don't have: reads drachtio-server's configuration file (`-f`), and runs
 * the development SIP server with what it says. Whoever starts it sees drachtio's own last line of a start.
 */
import { readFileSync } from 'node:fs';
import { XMLParser } from 'fast-xml-parser';
import pino from 'pino';
import { startSipServer } from '../../local/sip-server/server.ts';

const [option, file = ''] = process.argv.slice(2);
if (option !== '-f') throw new Error(`drachtio-stand-in: -f FILE is missing, got ${option}`);
const { drachtio } = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@' }).parse(
  readFileSync(file, 'utf8'),
);
const contact = /^sip:([\d.]+):(\d+);transport=udp,tcp$/.exec(drachtio.sip.contacts.contact);
if (!contact) throw new Error(`drachtio-stand-in: unexpected contact ${drachtio.sip.contacts.contact}`);
const { admin } = drachtio;

process.on('SIGTERM', () => process.exit(0));
await startSipServer({
  sip: { address: contact[1] as string, port: Number(contact[2]), protocols: ['udp', 'tcp'] },
  admin: { address: admin['#text'], port: Number(admin['@port']) },
  secret: admin['@secret'],
  log: pino({ level: 'warn' }, pino.destination(2)),
});
process.stderr.write('Starting sofia event loop in main thread: 1\n');
