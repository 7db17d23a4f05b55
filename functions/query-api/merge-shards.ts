/** Rows of several partitions as one sequence, in descending order of their sort key. */

/** Reads on in one partition: at most `limit` further rows, highest key first. `isEnd`: there are no more. */
export type ReadOn<Row> = (limit: number) => Promise<{ rows: Row[]; isEnd: boolean }>;

interface Shard<Row> {
  readOn: ReadOn<Row>;
  buffer: Row[];
  isEnd: boolean;
}

/**
 * Merges partitions. Whenever one has run dry, the next row can be anywhere, so that it is read on; all that are dry are
 * read side by side.
 * @param chunk rows to ask a dry partition for, asked anew each time: the fewer, the less is read in vain; the more, the
 * fewer rounds
 */
export async function* mergeShards<Row extends { timeSk: string }>(
  readers: readonly ReadOn<Row>[],
  chunk: () => number,
): AsyncGenerator<Row, void> {
  const shards: Shard<Row>[] = readers.map((readOn) => ({ readOn, buffer: [], isEnd: false }));
  for (;;) {
    const dry = shards.filter(({ buffer, isEnd }) => buffer.length === 0 && !isEnd);
    if (dry.length > 0) {
      const limit = chunk();
      await Promise.all(dry.map((shard) => refill(shard, limit)));
      continue; // a read may be short, or empty, before the end
    }
    const next = shards.reduce<Shard<Row> | undefined>(
      (highest, shard) => (isBefore(shard.buffer[0], highest?.buffer[0]) ? shard : highest),
      undefined,
    );
    const row = next?.buffer.shift();
    if (row === undefined) return;
    yield row;
  }
}

async function refill<Row>(shard: Shard<Row>, limit: number): Promise<void> {
  const { rows, isEnd } = await shard.readOn(limit);
  shard.buffer.push(...rows);
  shard.isEnd = isEnd;
}

const isBefore = (row: { timeSk: string } | undefined, other: { timeSk: string } | undefined): boolean =>
  row !== undefined && (other === undefined || row.timeSk > other.timeSk);
