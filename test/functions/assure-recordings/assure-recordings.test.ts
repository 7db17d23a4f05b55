/** Assurance over a real fleet table and a real index, written by the recorder's own ledger and the index's own items. */
import { DeleteCommand, type DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import { FLEET_KEY } from '../../../core/fleet.ts';
import { entryItems } from '../../../core/index-entries.ts';
import { recordingItem } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { ledgerItemId } from '../../../core/recording-ledger.ts';
import { acceptedId } from '../../../functions/assure-recordings/assurance-table.ts';
import { assureRecordings } from '../../../functions/assure-recordings/assure-recordings.ts';
import { RecordingLedger } from '../../../recorder-image/src/health/recording-ledger.ts';
import {
  createFleetTable,
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { makeManifest } from '../../helpers/manifest.ts';
import { QuietLogger } from '../../helpers/quiet-logger.ts';

const REGION = 'us-east-1';
const T0 = Date.parse('2026-11-25T12:30:00.000Z');
const HOUR = '2026-11-25T12';
const minutes = (count: number): number => T0 + count * 60_000;

let emulator: TestEmulator;
let table: DynamoDBDocumentClient;
let tests = 0;
let slot: string;
let logger: QuietLogger;
let nowMs: number;
beforeAll(async () => {
  emulator = await startTestEmulator();
  table = emulator.documents(REGION);
  await createFleetTable(emulator.dynamo(REGION), 'fleet');
  await createIndexTable(emulator.dynamo(REGION), 'index');
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());
beforeEach(() => {
  slot = `use1-${++tests}`; // each test has the tables of its slot to itself
  logger = new QuietLogger();
  nowMs = T0;
});

/** A recorder's process, as far as assurance knows it. */
function boot() {
  const ledger = new RecordingLedger({ slot, now: () => new Date(nowMs) });
  return {
    ledger,
    /** Its write of this minute. */
    async write(): Promise<void> {
      for (const entry of ledger.entries())
        await table.send(
          new PutCommand({ TableName: 'fleet', Item: { [FLEET_KEY]: ledgerItemId(entry), ...entry } }),
        );
    },
  };
}

/** A recording that begins now. */
function call(ledger: RecordingLedger): Manifest {
  const manifest = makeManifest({ slot, startedAt: new Date(nowMs).toISOString() });
  ledger.begun(manifest.recordingId, manifest.startedAt);
  return manifest;
}

const slotEntries = (manifest: Manifest) =>
  entryItems(recordingItem(manifest)).filter(({ sk }) => sk.startsWith('ENTRY#slot'));

async function index(...manifests: Manifest[]): Promise<void> {
  for (const Item of manifests.flatMap(slotEntries))
    await table.send(new PutCommand({ TableName: 'index', Item }));
}

async function assure(): Promise<number> {
  const dependencies = { fleet: { table, tableName: 'fleet' }, index: { table, tableName: 'index' }, logger };
  return (await assureRecordings(dependencies, [slot], new Date(nowMs))).missing.get(slot) as number;
}

/** Every five minutes up to then; the recorder writes before each run, if it still can. @returns the last answer */
async function until(atMs: number, recorder?: ReturnType<typeof boot>): Promise<number> {
  let missing = Number.NaN;
  for (; nowMs <= atMs; nowMs += 5 * 60_000) {
    await recorder?.write();
    missing = await assure();
  }
  return missing;
}

describe('nothing is missing', () => {
  it('of a slot that has recorded nothing', async () => {
    expect(await assure()).toBe(0);
  });

  it('of calls that go on, wait in the spool, or are in the index', async () => {
    const recorder = boot();
    const [, , done] = [call(recorder.ledger), call(recorder.ledger), call(recorder.ledger)];
    recorder.ledger.released(done?.recordingId as string);
    await index(done as Manifest);
    expect(await until(minutes(90), recorder)).toBe(0);
  });

  it('of INVITEs that were cancelled', async () => {
    const recorder = boot();
    recorder.ledger.discarded(call(recorder.ledger).recordingId);
    expect(await until(minutes(60), recorder)).toBe(0);
  });

  it('when the index is late, and in time', async () => {
    const recorder = boot();
    const late = call(recorder.ledger);
    recorder.ledger.released(late.recordingId);
    expect(await until(minutes(10), recorder)).toBe(0);
    await index(late);
    expect(await until(minutes(60), recorder)).toBe(0);
  });

  it('of what was deleted after the index had it', async () => {
    const recorder = boot();
    const manifests = [call(recorder.ledger), call(recorder.ledger)];
    for (const { recordingId } of manifests) recorder.ledger.released(recordingId);
    await index(...manifests);
    await until(minutes(5), recorder);
    for (const { pk, sk } of manifests.flatMap(slotEntries))
      await table.send(new DeleteCommand({ TableName: 'index', Key: { pk, sk } }));
    expect(await until(minutes(90), recorder)).toBe(0);
  });

  it('of calls at the edges of an hour, that the recorder and the index put into the same one', async () => {
    const recorder = boot();
    const manifests: Manifest[] = [];
    for (const edge of ['12:59:59.999', '13:00:00.000', '13:59:59.999', '14:00:00.000']) {
      nowMs = Date.parse(`2026-11-25T${edge}Z`);
      manifests.push(call(recorder.ledger));
    }
    for (const { recordingId } of manifests) recorder.ledger.released(recordingId);
    await index(...manifests);
    expect(await until(minutes(150), recorder)).toBe(0);
    await index(makeManifest({ slot, startedAt: '2026-11-25T14:00:00.000Z' })); // one too many does not stand for another
    const lost = call(recorder.ledger);
    recorder.ledger.released(lost.recordingId);
    expect(await until(minutes(200), recorder)).toBe(1);
  });

  it('after a crash that a second process took over from, whatever the first did not come to tell', async () => {
    const first = boot();
    const told = [call(first.ledger), call(first.ledger)];
    await first.write();
    nowMs = minutes(0.5);
    const untold = [call(first.ledger), call(first.ledger)];
    nowMs = minutes(2); // the first has died
    const second = boot();
    for (const { recordingId, startedAt } of [...told, ...untold])
      second.ledger.found(recordingId, startedAt);
    nowMs = minutes(3);
    const after = call(second.ledger);
    expect(await until(minutes(20), second)).toBe(0);
    for (const { recordingId } of [...told, ...untold, after]) second.ledger.released(recordingId);
    await index(...told, ...untold, after);
    expect(await until(minutes(60), second)).toBe(0);
  });
});

describe('what is missing', () => {
  it('is told after the grace, by slot and hour, until the index has it', async () => {
    const recorder = boot();
    const [lost, other] = [call(recorder.ledger), call(recorder.ledger)] as [Manifest, Manifest];
    for (const { recordingId } of [lost, other]) recorder.ledger.released(recordingId);
    await index(other);
    expect(await until(minutes(10), recorder)).toBe(0);
    expect(await until(minutes(15), recorder)).toBe(1);
    expect(logger.entries).toContainEqual(
      expect.objectContaining({
        level: 'ERROR',
        message: 'recordings are missing',
        slot,
        hour: HOUR,
        missing: 1,
        answered: 2,
        open: 0,
        indexed: 1,
      }),
    );
    await index(lost);
    expect(await until(minutes(20), recorder)).toBe(0);
  });

  it('are the calls of a host that is lost with its disk', async () => {
    const recorder = boot();
    const calls = [call(recorder.ledger), call(recorder.ledger), call(recorder.ledger)];
    recorder.ledger.released(calls[0]?.recordingId as string);
    await index(calls[0] as Manifest);
    await recorder.write();
    expect(await until(minutes(15))).toBe(0); // it may come back
    expect(await until(minutes(25))).toBe(2);
  });

  it('is nothing any more when the host comes back with its disk', async () => {
    const first = boot();
    const lost = call(first.ledger);
    await first.write();
    expect(await until(minutes(25))).toBe(1);
    const second = boot();
    second.ledger.found(lost.recordingId, lost.startedAt);
    expect(await until(minutes(30), second)).toBe(0);
    second.ledger.released(lost.recordingId);
    await index(lost);
    expect(await until(minutes(60), second)).toBe(0);
  });

  it('are recordings that were set aside: nobody finishes them by itself', async () => {
    const recorder = boot();
    recorder.ledger.released(call(recorder.ledger).recordingId);
    expect(await until(minutes(30), recorder)).toBe(1);
  });

  it('is not made up for by calls that a dead process did not come to tell of', async () => {
    const first = boot();
    const told = call(first.ledger);
    await first.write();
    nowMs = minutes(0.5);
    const untold = [call(first.ledger), call(first.ledger)];
    nowMs = minutes(2);
    const second = boot(); // on another disk
    call(second.ledger);
    await index(...untold);
    expect(told.slot).toBe(slot);
    expect(await until(minutes(30), second)).toBe(1);
  });

  it('is silent once an operator has accepted it, and tells of more', async () => {
    const recorder = boot();
    const lost = [call(recorder.ledger), call(recorder.ledger)];
    recorder.ledger.released(lost[0]?.recordingId as string);
    await until(minutes(15), recorder);
    const accepted = { [FLEET_KEY]: acceptedId(slot, HOUR), count: 1 };
    await table.send(new PutCommand({ TableName: 'fleet', Item: accepted }));
    expect(await until(minutes(20), recorder)).toBe(0);
    recorder.ledger.released(lost[1]?.recordingId as string);
    expect(await until(minutes(45), recorder)).toBe(1);
  });

  it('is no matter after two days, and an item that is none hides nothing', async () => {
    const recorder = boot();
    recorder.ledger.released(call(recorder.ledger).recordingId);
    const item = { [FLEET_KEY]: `LEDGER#${slot}#${HOUR}#other`, slot };
    await table.send(new PutCommand({ TableName: 'fleet', Item: item }));
    expect(await until(minutes(15), recorder)).toBe(1);
    expect(logger.entries).toContainEqual(expect.objectContaining({ message: 'ledger item not readable' }));
    nowMs = minutes(49 * 60);
    expect(await assure()).toBe(0);
  });
});
