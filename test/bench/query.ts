/**
 * What a question to the index reads, and how long it takes: `npm run bench:query`. What is read is counted in
 * DynamoDB's own answers (`ScannedCount`), at a tenth of the table and at the whole. The last line of the output is
 * one JSON object.
 */
import { parseArgs } from 'node:util';
import { waitUntilTableExists } from '@aws-sdk/client-dynamodb';
import { BatchWriteCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { ENTRY_SHARDS, entryItems, entryKey } from '../../core/index-entries.ts';
import { homeCopyItem, recordingItem } from '../../core/index-items.ts';
import { DIRECTIONS, type Manifest, RECORDING_STATUSES } from '../../core/manifest.ts';
import { findCall } from '../../functions/query-api/calls.ts';
import { type RecordingQuery, searchRecordings } from '../../functions/query-api/search.ts';
import type { IndexTable } from '../../functions/shared/aws-clients.ts';
import { table } from '../drills/report.ts';
import { seededRandom } from '../fixtures/mutate.ts';
import { createIndexTable } from '../helpers/emulator.ts';
import { makeManifest, recordingIdAt } from '../helpers/manifest.ts';
import { startOrderedDynamo } from './ordered-dynamo.ts';
import { percentile } from './percentile.ts';

const USAGE = `Usage: npm run bench:query -- [options]

  --items N   items in the table, 1,000 to 20,000,000 (default 1000000: about 68,000 recordings, some 5 minutes)
  --limit N   recordings on a page (default 50)
  --pages N   pages to read of each kind, and at each size of the table (default 20)
  --seed N    of all that is random (default 1)

The last line of the output is one JSON object:
{"bench":"query","items","recordings","limit","kinds":[{"kind","pages","found","readP50","readP95","readMost","msP50","msP95","readMostAtTenth"}],"withinReach"}
found: recordings on an average page; read: index rows read for a page; withinReach: no page of a key read more than 1.5 times
the page size plus the shards. Times are those of a DynamoDB on this machine's disk (dynalite), the questions asked one by one.
Exit code: 0 within reach, 1 not, 2 wrong usage.`;

const REGION = 'us-east-1';
const TABLE = 'bench-query';
const DAYS = 90;
const FIRST = Date.parse('2026-08-25T00:00:00.000Z');
const WHOLE = { from: new Date(FIRST), to: new Date(FIRST + DAYS * 86_400_000) };

const TENANTS = 20;
const USERS_PER_TENANT = 50;
const SLOTS = 8;

class UsageError extends Error {}

interface Options {
  items: number;
  limit: number;
  pages: number;
  seed: number;
}

function readOptions(args: string[]): Options | 'help' {
  const option = (fallback: string) => ({ type: 'string', default: fallback }) as const;
  const values = (() => {
    try {
      return parseArgs({
        args,
        options: {
          items: option('1000000'),
          limit: option('50'),
          pages: option('20'),
          seed: option('1'),
          help: { type: 'boolean', default: false },
        },
      }).values;
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  })();
  if (values.help) return 'help';
  const number = (name: 'items' | 'limit' | 'pages' | 'seed', least: number, most: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new UsageError(`--${name} ${values[name]}: write a whole number from ${least} to ${most}`);
    return value;
  };
  return {
    items: number('items', 1000, 20_000_000),
    limit: number('limit', 1, 200),
    pages: number('pages', 1, 10_000),
    seed: number('seed', 0, 2 ** 31),
  };
}

type Random = () => number;
const below = (random: Random, count: number): number => Math.floor(random() * count);

/** A busy user calls more than a quiet one: the first of a hundred has one call in ten. */
const skewed = (random: Random, count: number): number => Math.floor(count * random() ** 2);

const tenantAt = (index: number): string => `provider-${index}`;
const groupAt = (index: number): string => `group-${index % 5}`;
const userAt = (tenant: number, user: number): string => `user-${user}@provider-${tenant}.example.com`;
/** Fictitious numbers (555-01xx), made longer by an extension's digits so that there are enough of them. */
const numberAt = (tenant: number, user: number): string =>
  `+1214555010${String(tenant * USERS_PER_TENANT + user).padStart(4, '0')}`;

/** A first name and a family name, of 1,000 each, that a number always has. */
function nameAt(number: string): string {
  const syllables = ['ba', 'co', 'du', 'fi', 'ge', 'ha', 'jo', 'ku', 'li', 'me'];
  const word = (digits: string) => [...digits].map((digit) => syllables[Number(digit)]).join('');
  return `${word(number.slice(-3))} ${word([...number.slice(-3)].reverse().join(''))}`;
}

function manifestOf(random: Random): Manifest {
  const tenant = skewed(random, TENANTS);
  const user = skewed(random, USERS_PER_TENANT);
  const startedAt = new Date(FIRST + below(random, DAYS * 86_400_000)).toISOString();
  const callId = `call-${below(random, 2 ** 31)}`;
  const recordingId = recordingIdAt(startedAt, random);
  const party = (number: string, at: number) => ({
    id: `p${at}`,
    aors: [`sip:${number}@example.com;user=phone`],
    names: [nameAt(number)],
    number,
    streamLabels: [String(at)],
  });
  return makeManifest({
    startedAt,
    endedAt: new Date(Date.parse(startedAt) + below(random, 600_000)).toISOString(),
    recordingId,
    tenant: tenantAt(tenant),
    slot: `use1-${1 + below(random, SLOTS)}`,
    status: random() < 0.98 ? 'complete' : (RECORDING_STATUSES[1 + below(random, 2)] ?? 'partial'),
    direction: DIRECTIONS[below(random, 2)] ?? 'unknown',
    call: { callId, correlationIds: [callId, `sip-${recordingId}`] },
    participants: [
      party(numberAt(tenant, user), 1),
      party(numberAt(skewed(random, TENANTS), skewed(random, USERS_PER_TENANT)), 2),
    ],
    broadWorks: {
      serviceProviderId: tenantAt(tenant),
      groupId: groupAt(user),
      userId: userAt(tenant, user),
    },
  });
}

const WRITERS = 4;
const BATCH = 25; // of BatchWriteItem

interface Fill {
  items: number;
  callIds: string[];
}

/** Adds recordings, with all their items, until the table has `items`. */
async function fill(index: IndexTable, random: Random, filled: Fill, items: number): Promise<void> {
  const waiting: object[] = [];
  const write = async (some: object[]): Promise<void> => {
    let requests = some.map((Item) => ({ PutRequest: { Item } }));
    while (requests.length > 0) {
      const { UnprocessedItems } = await index.table.send(
        new BatchWriteCommand({ RequestItems: { [index.tableName]: requests } }),
      );
      requests = (UnprocessedItems?.[index.tableName] ?? []) as typeof requests;
    }
  };
  while (filled.items < items) {
    const manifest = manifestOf(random);
    const recording = recordingItem(manifest);
    waiting.push(homeCopyItem(manifest, 'recordings'), ...entryItems(recording), recording);
    filled.items += entryItems(recording).length + 2;
    filled.callIds.push(manifest.call.callId);
    if (waiting.length < WRITERS * BATCH && filled.items < items) continue;
    const batches: object[][] = [];
    while (waiting.length > 0) batches.push(waiting.splice(0, BATCH));
    await Promise.all(batches.map(write));
  }
}

interface Kind {
  kind: string;
  /** Index partitions that a page is merged from. */
  shards: number;
  /** Conditions that are no key: what is read depends on what they leave out. */
  filtered?: boolean;
  query: (random: Random) => Omit<RecordingQuery, 'from' | 'to'>;
}

const key = (kind: 'number' | 'user' | 'group', value: string): string => entryKey(kind, value) as string;

const KINDS: Kind[] = [
  { kind: 'time', shards: ENTRY_SHARDS.time, query: () => ({}) },
  {
    kind: 'tenant',
    shards: ENTRY_SHARDS.time,
    query: (random) => ({ tenant: tenantAt(below(random, TENANTS)) }),
  },
  {
    kind: 'number',
    shards: ENTRY_SHARDS.number,
    query: (random) => ({
      number: key('number', numberAt(below(random, TENANTS), below(random, USERS_PER_TENANT))),
    }),
  },
  {
    kind: 'user',
    shards: ENTRY_SHARDS.user,
    query: (random) => {
      const tenant = below(random, TENANTS);
      const user = userAt(tenant, below(random, USERS_PER_TENANT));
      return { tenant: tenantAt(tenant), user: key('user', user) };
    },
  },
  {
    kind: 'name',
    shards: ENTRY_SHARDS.name,
    filtered: true, // by the rest of the word
    query: (random) => {
      const number = numberAt(below(random, TENANTS), below(random, USERS_PER_TENANT));
      return { text: nameAt(number).split(' ')[0] as string };
    },
  },
  {
    kind: 'group',
    shards: ENTRY_SHARDS.group,
    query: (random) => ({
      tenant: tenantAt(below(random, TENANTS)),
      group: key('group', groupAt(below(random, 5))),
    }),
  },
  {
    kind: 'slot',
    shards: ENTRY_SHARDS.slot,
    query: (random) => ({ slot: `use1-${1 + below(random, SLOTS)}` }),
  },
  { kind: 'status', shards: ENTRY_SHARDS.status, query: () => ({ status: 'partial' }) },
  {
    kind: 'tenant and direction',
    shards: ENTRY_SHARDS.time,
    filtered: true,
    query: (random) => ({ tenant: tenantAt(below(random, TENANTS)), direction: 'incoming' }),
  },
  {
    kind: 'time and minDurationMs (1 in 10)',
    shards: ENTRY_SHARDS.time,
    filtered: true,
    query: () => ({ minDurationMs: 540_000 }),
  },
];

/** Adds up what DynamoDB says that it has read. */
function countReads(client: DynamoDBDocumentClient): () => number {
  let read = 0;
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      read += (result.output as { ScannedCount?: number }).ScannedCount ?? 0;
      return result;
    },
    { step: 'initialize', name: 'countReads' },
  );
  return () => read;
}

interface Sample {
  read: number;
  found: number;
  ms: number;
}

/** Up to `count` pages: of one random query after the other, at most three of each. */
async function pagesOf(
  index: IndexTable,
  reads: () => number,
  { query }: Kind,
  { limit, pages }: Options,
  random: Random,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  while (samples.length < pages) {
    const asked = { ...WHOLE, ...query(random) };
    let after: string | undefined;
    for (let page = 0; page < 3 && samples.length < pages; page += 1) {
      const before = reads();
      const start = performance.now();
      const { items, last } = await searchRecordings(index, asked, { limit, ...(after && { after }) }, 'all');
      samples.push({ read: reads() - before, found: items.length, ms: performance.now() - start });
      after = last;
      if (!after) break;
    }
  }
  return samples;
}

async function callsOf(
  index: IndexTable,
  reads: () => number,
  callIds: string[],
  { pages }: Options,
  random: Random,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  while (samples.length < pages) {
    const before = reads();
    const start = performance.now();
    const call = await findCall(index, callIds[below(random, callIds.length)] as string, 'all');
    samples.push({
      read: reads() - before,
      found: call?.recordings.length ?? 0,
      ms: performance.now() - start,
    });
  }
  return samples;
}

const rounded = (value: number): number => Math.round(value * 10) / 10;

function figuresOf(kind: string, samples: Sample[]) {
  const read = samples.map((sample) => sample.read);
  const ms = samples.map((sample) => sample.ms);
  return {
    kind,
    pages: samples.length,
    found: rounded(samples.reduce((sum, sample) => sum + sample.found, 0) / samples.length),
    readP50: percentile(read, 50),
    readP95: percentile(read, 95),
    readMost: Math.max(...read),
    msP50: rounded(percentile(ms, 50)),
    msP95: rounded(percentile(ms, 95)),
  };
}
type Figures = ReturnType<typeof figuresOf>;

async function measure(
  index: IndexTable,
  reads: () => number,
  filled: Fill,
  options: Options,
): Promise<Figures[]> {
  const random = seededRandom(options.seed + 1);
  const figures: Figures[] = [];
  for (const kind of KINDS)
    figures.push(figuresOf(kind.kind, await pagesOf(index, reads, kind, options, random)));
  figures.push(figuresOf('call', await callsOf(index, reads, filled.callIds, options, random)));
  return figures;
}

async function run(options: Options): Promise<boolean> {
  const dynamo = await startOrderedDynamo(REGION);
  try {
    await createIndexTable(dynamo.client, TABLE);
    await waitUntilTableExists({ client: dynamo.client, maxWaitTime: 10, minDelay: 1 }, { TableName: TABLE });
    const index = { table: dynamo.documents, tableName: TABLE };
    const reads = countReads(index.table);
    const random = seededRandom(options.seed);
    const filled: Fill = { items: 0, callIds: [] };
    await fill(index, random, filled, options.items / 10);
    const atTenth = await measure(index, reads, filled, options);
    const start = performance.now();
    await fill(index, random, filled, options.items);
    console.log(
      `${filled.items} items of ${filled.callIds.length} recordings, written in ${Math.round((performance.now() - start) / 1000)} s`,
    );
    const kinds = (await measure(index, reads, filled, options)).map((figures, at) => ({
      ...figures,
      readMostAtTenth: atTenth[at]?.readMost ?? 0,
    }));
    console.log(
      table([
        [`page of ${options.limit}`, 'found', 'read p50', 'p95', 'most', 'at a tenth', 'ms p50', 'p95'],
        ...kinds.map(({ kind, found, readP50, readP95, readMost, readMostAtTenth, msP50, msP95 }) => [
          kind,
          found,
          readP50,
          readP95,
          readMost,
          readMostAtTenth,
          msP50,
          msP95,
        ]),
      ]),
    );
    const withinReach = KINDS.filter(({ filtered }) => !filtered).every(({ kind, shards }) => {
      const { readMost = Number.POSITIVE_INFINITY } = kinds.find((figures) => figures.kind === kind) ?? {};
      return readMost <= 1.5 * options.limit + shards;
    });
    const { items, callIds } = filled;
    console.log(
      JSON.stringify({
        bench: 'query',
        items,
        recordings: callIds.length,
        limit: options.limit,
        kinds,
        withinReach,
      }),
    );
    return withinReach;
  } finally {
    await dynamo.stop();
  }
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') console.log(USAGE);
  else process.exitCode = (await run(options)) ? 0 : 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
