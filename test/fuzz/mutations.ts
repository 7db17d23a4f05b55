/**
 * Damage that knows what it damages: bytes, lines, numbers, delimiters, nesting and text encodings. The same seed and
 * index always give the same input, whatever was made before it.
 */
import { seededRandom } from '../fixtures/mutate.ts';

/** More than a UDP datagram or the limit of any reader, 64 KiB; still more of the same finds nothing and costs time. */
const MAX_INPUT_BYTES = 80 * 1024;

export interface Corpus {
  /** Whole inputs to start from. */
  seeds: readonly Buffer[];
  /** Pieces that mean something in the format. */
  tokens: readonly Buffer[];
  /** Pieces that open something, and nest if repeated. */
  openers: readonly Buffer[];
}

/** Numbers at which arithmetic, parsers and fields of fixed width go wrong. */
const NUMBERS = [
  ...['0', '-1', '-0', '007', '1e9', '0x7f', '65535', '65536', '2147483647', '2147483648', '4294967296'],
  ...['9007199254740993', '18446744073709551616', `${'9'.repeat(400)}`, 'NaN', 'Infinity', '1.5', ''],
];

/** Bytes that are no UTF-8, and text that readers tend to forget: byte order marks, marks that reorder or combine. */
const STRANGE_TEXT = [
  Buffer.from([0xff, 0xfe]),
  Buffer.from([0xc3, 0x28]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xf4, 0x90, 0x80, 0x80]),
  Buffer.from([0]),
  ...['\ufeff', '\u202e', 'e\u0301', '\u2028', '\u00a0', '\u{10ffff}', '\u{1f600}', 'İ', 'ß'].map((text) =>
    Buffer.from(text),
  ),
];

const LINE_ENDS = ['\r\n', '\n', '\r', '\r\n ', '\r\n\t', '\r\n\r\n', '\n\n', '\r\r\n'].map((text) =>
  Buffer.from(text),
);

const BOUNDARY_TRICKS = ['--', '\r\n--', '--\r\n', '-', '\r\n--\r\n', '"', ' '].map((text) =>
  Buffer.from(text),
);

/** Values for one, two and four bytes of a binary field. */
const FIELDS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

type Edit = (data: Buffer, dice: Dice, corpus: Corpus) => Buffer;

interface Dice {
  below(limit: number): number;
  pick<T>(values: readonly T[]): T;
}

const dice = (random: () => number): Dice => {
  const below = (limit: number) => Math.floor(random() * limit);
  return { below, pick: <T>(values: readonly T[]): T => values[below(values.length)] as T };
};

const splice = (data: Buffer, at: number, remove: number, insert: Buffer): Buffer =>
  Buffer.concat([data.subarray(0, at), insert, data.subarray(at + remove)]);

const insert = (data: Buffer, { below }: Dice, piece: Buffer): Buffer =>
  splice(data, below(data.length + 1), 0, piece);

/** A piece repeated until it is long: linear readers don't mind, others show. */
const repeated = (piece: Buffer, { below }: Dice): Buffer =>
  Buffer.alloc(Math.min(piece.length * (1 + below(8000)), MAX_INPUT_BYTES), piece);

/** The lines with their ends. */
function linesOf(data: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < data.length; ) {
    const at = data.indexOf(10, start);
    const next = at < 0 ? data.length : at + 1;
    lines.push(data.subarray(start, next));
    start = next;
  }
  return lines;
}

/** Where runs of digits are: found in a window, so that long inputs cost no more than short ones. */
function someNumber(data: Buffer, { below }: Dice): { at: number; length: number } | undefined {
  const from = below(data.length + 1);
  const match = /\d+/.exec(data.toString('latin1', from, from + 2000));
  return match ? { at: from + match.index, length: match[0].length } : undefined;
}

const EDITS: Record<string, Edit> = {
  flipBits: (data, { below }) => {
    const changed = Buffer.from(data);
    for (let n = below(8); n >= 0 && changed.length > 0; n--) {
      const at = below(changed.length);
      changed[at] = (changed[at] as number) ^ (1 << below(8));
    }
    return changed;
  },
  setField: (data, { below, pick }) => {
    const [bytes, value] = [pick([1, 2, 4]), pick(FIELDS)];
    if (data.length < bytes) return data;
    const changed = Buffer.from(data);
    changed.writeUIntBE(value % 256 ** bytes, below(data.length - bytes + 1), bytes);
    return changed;
  },
  truncate: (data, { below }) => data.subarray(0, below(data.length + 1)),
  remove: (data, { below }) => splice(data, below(data.length + 1), below(60), Buffer.alloc(0)),
  duplicate: (data, roll) => {
    const from = roll.below(data.length + 1);
    return insert(data, roll, data.subarray(from, from + roll.below(300)));
  },
  spliceTwo: (data, { below, pick }, { seeds }) => {
    const other = pick(seeds);
    return Buffer.concat([data.subarray(0, below(data.length + 1)), other.subarray(below(other.length + 1))]);
  },
  token: (data, roll, { tokens }) => insert(data, roll, roll.pick(tokens)),
  number: (data, roll) => {
    const found = someNumber(data, roll);
    return found ? splice(data, found.at, found.length, Buffer.from(roll.pick(NUMBERS))) : data;
  },
  strangeText: (data, roll) => insert(data, roll, roll.pick(STRANGE_TEXT)),
  lineEnd: (data, roll) => insert(data, roll, roll.pick(LINE_ENDS)),
  otherLineEnds: (data, { pick }) =>
    Buffer.from(data.toString('latin1').replaceAll('\r\n', pick(['\n', '\r'])), 'latin1'),
  swapLines: (data, { below }) => {
    const lines = linesOf(data);
    const [a, b] = [below(lines.length), below(lines.length)];
    const [one, other] = [lines[a], lines[b]];
    if (!one || !other) return data;
    return Buffer.concat(lines.with(a, other).with(b, one));
  },
  repeatLine: (data, roll) => {
    const lines = linesOf(data);
    const line = lines[roll.below(lines.length)];
    return line
      ? insert(data, roll, Buffer.concat(Array.from({ length: roll.below(30) }, () => line)))
      : data;
  },
  boundary: (data, roll) => {
    const name = /boundary="?([^";\r\n]{1,70})/i.exec(data.toString('latin1', 0, 4000))?.[1];
    const piece = name === undefined ? roll.pick(BOUNDARY_TRICKS) : Buffer.from(`\r\n--${name}`, 'latin1');
    return insert(data, roll, Buffer.concat([piece, roll.pick(BOUNDARY_TRICKS)]));
  },
};

const LONG_CHARACTERS = ['a', ' ', '\t', '"', '\\', '0', '-', '.', ';', ',', '&', '%'];

/** Those that make an input long: rare, because each costs as much as hundreds of others. */
const LONG_EDITS: Record<string, Edit> = {
  longLine: (data, roll) => insert(data, roll, repeated(Buffer.from(roll.pick(LONG_CHARACTERS)), roll)),
  nest: (data, roll, { openers }) => insert(data, roll, repeated(roll.pick(openers), roll)),
  manyTokens: (data, roll, { tokens }) => insert(data, roll, repeated(roll.pick(tokens), roll)),
  manyStrange: (data, roll) => insert(data, roll, repeated(roll.pick(STRANGE_TEXT), roll)),
};

/** One input in this many is made long. */
const LONG_EVERY = 50;

const ALL_EDITS = Object.values(EDITS);
const ALL_LONG_EDITS = Object.values(LONG_EDITS);

/** The input with that number: a seed with one to eight edits. */
export function mutation(corpus: Corpus, seed: number, index: number): Buffer {
  const roll = dice(seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)));
  let data = roll.pick(corpus.seeds);
  for (let edits = 1 << roll.below(4); edits > 0; edits--) data = roll.pick(ALL_EDITS)(data, roll, corpus);
  if (roll.below(LONG_EVERY) === 0) data = roll.pick(ALL_LONG_EDITS)(data, roll, corpus);
  return data.subarray(0, MAX_INPUT_BYTES);
}
