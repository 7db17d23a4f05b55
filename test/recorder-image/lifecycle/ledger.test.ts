/** A recorder keeps a ledger of its recordings in a real fleet table, also of those that its predecessor left. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { paginateScan } from '@aws-sdk/lib-dynamodb';
import { FLEET_KEY } from '../../../core/fleet.ts';
import {
  hourOf,
  LEDGER_PREFIX,
  type LedgerEntry,
  ledgerEntrySchema,
  ledgerItemId,
} from '../../../core/recording-ledger.ts';
import { startSipServer } from '../../../local/sip-server/server.ts';
import {
  createFleetTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { REGION, SECRET, startRecorderProcess, startTestRecorder } from '../../helpers/recorder.ts';
import { type S3Proxy, startS3Proxy } from '../../helpers/s3-proxy.ts';
import { Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const TABLE = 'example-fleet';
const BUCKET = 'recordings';

let emulator: TestEmulator;
let proxy: S3Proxy;
beforeAll(async () => {
  emulator = await startTestEmulator();
  proxy = await startS3Proxy(emulator);
  await createFleetTable(emulator.dynamo(REGION), TABLE);
  await emulator.s3(REGION).send(new CreateBucketCommand({ Bucket: BUCKET }));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  await proxy?.close();
  await emulator?.stop();
});
beforeEach(() => {
  proxy.fault = () => undefined;
});

/** All of a slot in the table, added up. */
async function ledgerOf(slot: string): Promise<{ entries: LedgerEntry[]; answered: number; open: number }> {
  const entries: LedgerEntry[] = [];
  const pages = paginateScan(
    { client: emulator.documents(REGION) },
    { TableName: TABLE, ConsistentRead: true },
  );
  for await (const { Items = [] } of pages)
    for (const item of Items)
      if (item[FLEET_KEY].startsWith(LEDGER_PREFIX)) {
        const entry = ledgerEntrySchema.parse(item);
        expect(item[FLEET_KEY]).toBe(ledgerItemId(entry));
        if (entry.slot === slot) entries.push(entry);
      }
  const sum = (name: 'answered' | 'open') => entries.reduce((total, entry) => total + entry[name], 0);
  return { entries, answered: sum('answered'), open: sum('open') };
}

const variables = (slot: string) => ({ SIPREC_SLOT: slot, SIPREC_FLEET_TABLE: TABLE });

it('follows the calls: begun, cancelled, running, in S3', async () => {
  const slot = 'use1-1';
  const recorder = await startTestRecorder({
    endpoint: proxy.endpoint,
    bucket: BUCKET,
    variables: variables(slot),
    ledgerMs: 50,
  });
  const src = await Src.start(recorder.sipServer.sipPort);
  try {
    const calls = [await src.call(), await src.call()];
    for (const call of calls) await call.start();
    await until(async () => (await ledgerOf(slot)).open === 2);
    for (const call of calls) {
      await call.speak(5);
      await call.bye();
    }
    await until(async () => (await ledgerOf(slot)).open === 0);
    const { entries, answered } = await ledgerOf(slot);
    expect(answered).toBe(2);
    expect(new Set(entries.map(({ bootId }) => bootId)).size).toBe(1);
    for (const { hour, bootedAt, at } of entries) {
      expect([hourOf(Date.parse(bootedAt)), hourOf(Date.parse(at))]).toContain(hour);
      expect(Date.parse(at)).toBeGreaterThan(Date.parse(bootedAt));
    }
  } finally {
    await src.close();
    await recorder.stop();
  }
});

it('is taken over after a crash: the successor has what the spool holds, and began none of it', async () => {
  const slot = 'use1-2';
  proxy.fault = ({ path }) => (path === '' ? undefined : { refuseWith: 503 }); // S3 takes nothing
  const sipServer = await startSipServer({ secret: SECRET });
  const spool = mkdtempSync(join(tmpdir(), 'siprec-ha-spool-'));
  const dead = await startRecorderProcess({
    sipServer,
    spool,
    endpoint: proxy.endpoint,
    bucket: BUCKET,
    variables: variables(slot),
  });
  const src = await Src.start(sipServer.sipPort);
  const calls = [await src.call(), await src.call()];
  for (const call of calls) await call.start();
  await calls[0]?.bye();
  await until(() => dead.logs.lines.some(({ msg }) => msg === 'recording ended'));
  await dead.kill();
  const recorder = await startTestRecorder({
    endpoint: proxy.endpoint,
    bucket: BUCKET,
    sipServer,
    spool,
    variables: variables(slot),
    ledgerMs: 50,
    orphanSilenceMs: 200,
    retryDelays: { firstMs: 50, lastMs: 50 },
  });
  try {
    await until(async () => (await ledgerOf(slot)).open === 2);
    expect((await ledgerOf(slot)).answered).toBe(0); // the first died before it told
    proxy.fault = () => undefined;
    await until(async () => (await ledgerOf(slot)).open === 0);
  } finally {
    await src.close();
    await recorder.stop();
    await dead.stop();
    await sipServer.close();
    rmSync(spool, { recursive: true });
  }
});

it('is kept while the table takes nothing, and written when it does', async () => {
  const slot = 'use1-3';
  proxy.fault = () => ({ refuseWith: 503 });
  const recorder = await startTestRecorder({
    endpoint: proxy.endpoint,
    bucket: BUCKET,
    variables: variables(slot),
    ledgerMs: 50,
    spoolFlushMs: 0,
  });
  const src = await Src.start(recorder.sipServer.sipPort);
  try {
    const call = await src.call();
    expect((await call.start()).status).toBe(200);
    await recorder.logs.find('the ledger of recordings cannot be written; it is kept, and written later');
    proxy.fault = () => undefined;
    await until(async () => (await ledgerOf(slot)).answered === 1);
    await call.bye();
  } finally {
    await src.close();
    await recorder.stop();
  }
});
