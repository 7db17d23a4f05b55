/** Places simulated BroadWorks calls from the command line, and says which recorder took each. */
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { parseCommandLine, runCommand, UsageError, wholeNumber } from '../command-line.ts';
import { type CallResult, type PlaceCallsOptions, placeCalls } from './simulator.ts';

const USAGE = `Usage: node local/broadworks/cli.ts --domain NAME --dns ADDRESS:PORT [options]

  --domain NAME         SRV name of the recording platform, such as siprec.rec.example.com
  --dns ADDRESS:PORT    DNS server to ask, such as 127.0.0.1:5053
  --port N              port of the platform: then NAME is a host and SRV is not used
  --calls N             calls to place (default 1)
  --duration SECONDS    length of each call (default 5)
  --concurrency N       calls at the same time (default: all)
  --transport udp|tcp   (default udp)
  --codec pcmu|pcma     (default pcmu)
  --streams dual|single (default dual)
  --shape broadworks|rfc7866
                        what the INVITE looks like (default broadworks)

Exit code: 0 all calls recorded, 1 at least one was not, 2 wrong usage.`;

const OPTIONS = {
  domain: { type: 'string' },
  dns: { type: 'string' },
  port: { type: 'string' },
  calls: { type: 'string', default: '1' },
  duration: { type: 'string', default: '5' },
  concurrency: { type: 'string' },
  transport: { type: 'string', default: 'udp' },
  codec: { type: 'string', default: 'pcmu' },
  streams: { type: 'string', default: 'dual' },
  shape: { type: 'string', default: 'broadworks' },
  help: { type: 'boolean', default: false },
} as const;

function readOptions(args: string[]): Omit<PlaceCallsOptions, 'log' | 'signal'> | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  if (!values.domain) throw new UsageError('--domain is missing');
  return {
    domain: values.domain,
    dnsServer: addressAndPort('--dns', values.dns),
    ...(values.port !== undefined && { port: wholeNumber('--port', values.port, 65_535) }),
    calls: wholeNumber('--calls', values.calls, 100_000),
    durationMs: seconds('--duration', values.duration),
    ...(values.concurrency !== undefined && {
      concurrency: wholeNumber('--concurrency', values.concurrency, 135),
    }),
    transport: oneOf('--transport', values.transport, ['udp', 'tcp']),
    codec: oneOf('--codec', values.codec, ['pcmu', 'pcma']),
    streams: oneOf('--streams', values.streams, ['dual', 'single']),
    shape: oneOf('--shape', values.shape, ['broadworks', 'rfc7866']),
  };
}

const parse = (args: string[]) =>
  parseCommandLine(() => parseArgs({ args, options: OPTIONS, strict: true }).values);

function seconds(option: string, value: string): number {
  const parsed = Number(value);
  if (!(parsed > 0 && parsed <= 86_400))
    throw new UsageError(`${option} ${value}: expected seconds, more than 0`);
  return parsed * 1000;
}

function oneOf<const T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value.toLowerCase());
  if (!found) throw new UsageError(`${option} ${value}: expected ${allowed.join(' or ')}`);
  return found;
}

function addressAndPort(option: string, value = ''): { address: string; port: number } {
  const match = /^(.+):(\d+)$/.exec(value);
  const address = match?.[1]?.replace(/^\[(.*)\]$/, '$1') ?? '';
  if (!match || !isIP(address))
    throw new UsageError(`${option} ${value}: expected ADDRESS:PORT, such as 127.0.0.1:5053`);
  return { address, port: wholeNumber(option, match[2] as string, 65_535) };
}

const COLUMNS: [title: string, value: (result: CallResult) => string][] = [
  ['call', ({ callNumber }) => String(callNumber)],
  [
    'recorder',
    ({ recorder }) => (recorder ? `${recorder.target} (${recorder.address}:${recorder.port})` : '-'),
  ],
  ['tried', ({ attempts }) => String(attempts.length)],
  ['recorded user', ({ parties }) => parties.recordedUser.number],
  ['other', ({ parties }) => parties.other.number],
  ['direction', ({ direction }) => direction],
  ['media s', ({ rtpDurationMs }) => (rtpDurationMs / 1000).toFixed(2)],
  ['outcome', ({ outcome, reason }) => (reason ? `${outcome}: ${reason}` : outcome)],
];

function formatTable(results: CallResult[]): string {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...results.map((result) => COLUMNS.map(([, value]) => value(result))),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(USAGE);
    return 0;
  }
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  process.once('SIGTERM', () => interrupt.abort());
  const results = await placeCalls({
    ...options,
    signal: interrupt.signal,
    log: (line) => console.error(line),
  });
  console.log(formatTable(results));
  return results.length === options.calls && results.every(({ outcome }) => outcome === 'recorded') ? 0 : 1;
}

await runCommand(USAGE, main);
