/** Holds the index and both buckets against what was stored, read without any code of the functions. */
import { paginateScan } from '@aws-sdk/lib-dynamodb';
import { sha256Hex } from '../../helpers/stored-recording.ts';
import { allKeys, getObject } from '../bucket.ts';
import { inParallel } from './in-parallel.ts';
import type { RecordingsStage } from './recordings-stage.ts';
import type { SyntheticRecording } from './synthetic-recording.ts';

export interface Judgement {
  recordings: number;
  indexed: number;
  copiesDue: number;
  copiesVerified: number;
  /** In words. */
  problems: string[];
}

const READS_AT_ONCE = 16;

/** An item of the table, as far as it is looked at. Keys as docs/index.md describes them. */
interface Item {
  pk: string;
  sk: string;
  revision?: number;
  role?: string;
  state?: string;
  bucket?: string;
  manifestSha256?: string;
}

/** Looks at everything that was ever stored on this stage. */
export async function judgeRecordings(stage: RecordingsStage): Promise<Judgement> {
  const { recordings, regions } = stage;
  const problems: string[] = [];
  // The table is the same in every region, if replication between regions works.
  const tables = new Map<string, Map<string, Item[]>>();
  for (const region of regions) tables.set(region, await readTable(stage, region));
  const known = new Set(recordings.map(({ manifest }) => manifest.recordingId));
  for (const [region, table] of tables)
    for (const id of table.keys())
      if (!known.has(id)) problems.push(`${region}: nobody has stored ${id}, which the index has`);
  const keys = new Set(recordings.flatMap((recording) => recording.keys));
  for (const region of regions)
    for (const key of await allKeys(stage.s3(region), stage.bucket(region)))
      if (!keys.has(key)) problems.push(`${region}: nobody has stored ${key}, which the bucket has`);

  const judged = await inParallel(recordings, READS_AT_ONCE, (recording) =>
    judgeOne(stage, tables, recording),
  );
  const sum = (of: (one: (typeof judged)[number]) => number): number =>
    judged.reduce((total, one) => total + of(one), 0);
  return {
    recordings: recordings.length,
    indexed: sum(({ isIndexed }) => Number(isIndexed)),
    copiesDue: sum(({ due }) => due),
    copiesVerified: sum(({ verified }) => verified),
    problems: [...problems, ...judged.flatMap((one) => one.problems)],
  };
}

/** Items by recording. */
async function readTable(
  { documents, tableName }: RecordingsStage,
  region: string,
): Promise<Map<string, Item[]>> {
  const items: Item[] = [];
  for await (const { Items = [] } of paginateScan({ client: documents(region) }, { TableName: tableName }))
    items.push(...(Items as Item[]));
  const ofRecordings = items.filter(({ pk }) => pk.startsWith('REC#'));
  return Map.groupBy(ofRecordings, ({ pk }) => pk.slice('REC#'.length));
}

async function judgeOne(
  stage: RecordingsStage,
  tables: ReadonlyMap<string, ReadonlyMap<string, Item[]>>,
  recording: SyntheticRecording,
) {
  const { manifest, homeRegion, digests } = recording;
  const problems: string[] = [];
  const targets = stage.targetsOf(homeRegion);
  const itemsIn = (region: string): Item[] => tables.get(region)?.get(manifest.recordingId) ?? [];

  const indexProblems = stage.regions.flatMap((region) =>
    indexFaults(itemsIn(region), manifest.revision).map((fault) => `${region}: ${fault}`),
  );
  problems.push(...indexProblems);
  problems.push(...(await objectFaults(stage, homeRegion, recording)));
  let verified = 0;
  for (const target of targets) {
    const copies = itemsIn(homeRegion).filter(({ sk }) => sk === `COPY#${target}`);
    const [copy] = copies;
    const faults = await objectFaults(stage, target, recording);
    if (copies.length !== 1) faults.push(`${target}: the index has ${copies.length} items of the copy`);
    else if (copy?.state !== 'verified' || copy.role !== 'replica' || copy.revision !== manifest.revision)
      faults.push(
        `${target}: the copy is said to be ${copy?.role}, ${copy?.state}, revision ${copy?.revision}`,
      );
    else if (copy.manifestSha256 !== undefined && copy.manifestSha256 !== digests.at(-1))
      faults.push(`${target}: the copy is said to be of another manifest`);
    if (copy && copy.bucket !== stage.bucket(target))
      faults.push(`${target}: the copy is said to be in ${copy.bucket}`);
    if (faults.length === 0) verified += 1;
    problems.push(...faults);
  }
  return {
    isIndexed: indexProblems.length === 0,
    due: targets.length,
    verified,
    problems: problems.map((problem) => `${manifest.recordingId}: ${problem}`),
  };
}

/** What is wrong with a recording in a region's table, besides its copies in other regions. */
function indexFaults(items: readonly Item[], revision: number): string[] {
  const counts = { META: 0, 'ENTRY#time#': 0, 'ENTRY#call#': 0, 'ENTRY#number#': 0 };
  for (const { sk } of items)
    for (const kind of Object.keys(counts) as (keyof typeof counts)[])
      if (sk.startsWith(kind)) counts[kind] += 1;
  // The synthetic call has two parties and one id.
  const expected = { META: 1, 'ENTRY#time#': 1, 'ENTRY#call#': 1, 'ENTRY#number#': 2 };
  return [
    ...Object.entries(expected)
      .filter(([kind, count]) => counts[kind as keyof typeof counts] !== count)
      .map(
        ([kind, count]) =>
          `the index has ${counts[kind as keyof typeof counts]} items ${kind} instead of ${count}`,
      ),
    ...items.filter((item) => item.revision !== revision).map(({ sk }) => `${sk} is of another revision`),
  ];
}

/** What is wrong with its objects in a region's bucket. */
async function objectFaults(
  stage: RecordingsStage,
  region: string,
  { keys, digests }: SyntheticRecording,
): Promise<string[]> {
  const faults: string[] = [];
  for (const [index, key] of keys.entries()) {
    const content = await getObject(stage.s3(region), stage.bucket(region), key).catch(
      (error: Error) => error,
    );
    if (content instanceof Error) faults.push(`${region}: ${key} cannot be read: ${content.name}`);
    else if (sha256Hex(content) !== digests[index]) faults.push(`${region}: ${key} is not what was stored`);
  }
  return faults;
}
