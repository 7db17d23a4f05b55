import { fuzz } from './fuzz.ts';
import { type Corpus, mutation } from './mutations.ts';
import { READER_NAMES, READERS, type Reader } from './readers.ts';

const SEED = 7866;
const INPUTS = 2000;

describe.each(READER_NAMES)('the reader of %s', (name) => {
  it(`survives ${INPUTS} damaged inputs`, async () => {
    const reader = READERS[name]();
    try {
      expect(await fuzz(reader, { seed: SEED, inputs: INPUTS })).toMatchObject({
        inputs: INPUTS,
        findings: [],
      });
    } finally {
      reader.close();
    }
  }, 60_000);

  it('reads what the damage starts from', () => {
    const reader = READERS[name]();
    try {
      expect(reader.corpus.seeds.length).toBeGreaterThan(1);
      const readable = reader.corpus.seeds.filter((seed) => {
        try {
          reader.read(seed);
          return true;
        } catch (error) {
          if (reader.refusal && error instanceof reader.refusal) return false;
          throw error;
        }
      });
      expect(readable.length).toBeGreaterThan(reader.corpus.seeds.length / 2);
    } finally {
      reader.close();
    }
  });
});

describe('fuzzing', () => {
  const corpus: Corpus = {
    seeds: [Buffer.from('Content-Type: a;boundary=b\r\n12 34\r\n--b\r\n'), Buffer.from('other')],
    tokens: [Buffer.from('token')],
    openers: [Buffer.from('(')],
  };
  const reader = (read: Reader['read'], refusal?: Reader['refusal']): Reader => ({
    corpus,
    read,
    ...(refusal && { refusal }),
    close: () => undefined,
  });

  it('makes the same input of the same seed and index, and different ones of others', () => {
    const inputs = (seed: number) =>
      Array.from({ length: 200 }, (_, index) => mutation(corpus, seed, index).toString('latin1'));
    expect(inputs(1)).toEqual(inputs(1));
    expect(inputs(1)).not.toEqual(inputs(2));
    expect(new Set(inputs(1)).size).toBeGreaterThan(150);
  });

  it('makes long inputs too, but none over 80 KiB', () => {
    const lengths = Array.from({ length: 2000 }, (_, index) => mutation(corpus, 1, index).length);
    expect(Math.max(...lengths)).toBeGreaterThan(10_000);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(80 * 1024);
  });

  it("finds an error that is not the reader's own, once, with the input that caused it", async () => {
    const broken = reader((input) => {
      if (input.includes('token')) throw new TypeError('cannot read');
      if (input.includes('(')) throw new RangeError('refused');
    }, RangeError);
    const { findings, refused } = await fuzz(broken, { seed: SEED, inputs: 500 });
    expect(findings).toEqual([
      {
        kind: 'exception',
        index: expect.any(Number),
        detail: expect.stringMatching('TypeError: cannot read'),
      },
    ]);
    expect(mutation(corpus, SEED, findings[0]?.index ?? 0).includes('token')).toBe(true);
    expect(refused).toBeGreaterThan(0);
  });

  it('finds an input that is slow every time, but none that was slow once', async () => {
    const work = (ms: number) => {
      const before = process.threadCpuUsage();
      while (process.threadCpuUsage(before).user < 1000 * ms);
    };
    let once = false;
    const slow = reader((input) => {
      if (input.length === 5) work(60);
      else if (!once && input.length > 5) {
        once = true;
        work(60);
      }
    });
    const { findings } = await fuzz(slow, { seed: SEED, inputs: 30 });
    expect(findings.length).toBeGreaterThan(0);
    expect(
      findings.every(({ kind, index }) => kind === 'slow' && mutation(corpus, SEED, index).length === 5),
    ).toBe(true);
  });

  it('finds memory that is kept', async () => {
    const kept: Buffer[] = [];
    const leaking = reader((input) => {
      kept.push(Buffer.alloc(64 * 1024, input[0] ?? 0));
    });
    expect((await fuzz(leaking, { seed: SEED, inputs: 400 })).findings).toMatchObject([{ kind: 'memory' }]);
  });
});
