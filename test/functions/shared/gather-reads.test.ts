import { type DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { TableKey } from '../../../core/index-items.ts';
import { gatherReads } from '../../../functions/shared/gather-reads.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';

const TABLE = 'index';
const key = (number: number): TableKey => ({ pk: `p${number}`, sk: 's' });

let emulator: TestEmulator;
let table: DynamoDBDocumentClient;
let requests = 0;

beforeAll(async () => {
  emulator = await startTestEmulator();
  table = emulator.documents('us-east-1');
  await createIndexTable(emulator.dynamo('us-east-1'), TABLE);
  for (const number of [1, 2, 3])
    await table.send(new PutCommand({ TableName: TABLE, Item: { ...key(number), number } }));
  table.middlewareStack.add(
    (next) => (args) => {
      requests += 1;
      return next(args);
    },
    { step: 'initialize' },
  );
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());
beforeEach(() => {
  requests = 0;
});

describe('reads', () => {
  it('that are asked for side by side go in one request, and each gets its own', async () => {
    const read = gatherReads({ table, tableName: TABLE }, { consistent: true });
    const answers = await Promise.all([read([key(1), key(2)]), read([key(2), key(4)]), read([key(9)])]);
    expect(answers).toEqual([
      [
        { ...key(1), number: 1 },
        { ...key(2), number: 2 },
      ],
      [{ ...key(2), number: 2 }],
      [],
    ]);
    expect(requests).toBe(1);
  });

  it('that come later see what was written meanwhile', async () => {
    const read = gatherReads({ table, tableName: TABLE }, { consistent: true });
    expect(await read([key(5)])).toEqual([]);
    await table.send(new PutCommand({ TableName: TABLE, Item: key(5) }));
    expect(await read([key(5)])).toEqual([key(5)]);
  });

  it('that fail do so for all who asked, and not for later ones', async () => {
    const index = { table, tableName: 'none' };
    const read = gatherReads(index);
    const failures = await Promise.allSettled([read([key(1)]), read([key(2)])]);
    expect(failures.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    index.tableName = TABLE;
    expect(await read([key(1)])).toHaveLength(1);
  });
});
