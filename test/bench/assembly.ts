/**
 * How fast recordings are assembled, and in how much memory: calls of 1 and 8 hours, of two G.711 streams in packets of
 * 20 ms, with jitter, reordering, loss, drifting clocks and sender reports. Each is assembled in a fresh process; beside
 * it, in another one, the floor: the same journals read, and as many bytes written, and nothing else.
 *
 *     npm run bench:assembly
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assemble } from '../../recorder-image/src/media/assemble.ts';
import { JournalWriter } from '../../recorder-image/src/media/journal.ts';

const HOURS = [1, 8];
const STREAMS = [1, 2];
const PACKET_MS = 20;
const PAYLOAD_BYTES = 160;
const LOSS = 0.005;
/** One in so many packets comes after the next one. */
const REORDERED = 0.002;
const JITTER_MS = 10;
const DRIFT_PPM = 60;
const REPORT_EVERY_MS = 5000;
const STARTED_AT_MS = Date.UTC(2026, 0, 5, 12, 0, 0);
/** Seconds from 1900 to 1970. */
const NTP_EPOCH = 2_208_988_800;

/** Of one process. */
interface Figures {
  cpuSeconds: number;
  wallSeconds: number;
  /** Most memory at any time, above that at the start. */
  peakMiB: number;
}

interface Assembled extends Figures {
  durationMs: number;
  packets: number[];
  lostPackets: number[];
}

const journalOf = (directory: string, stream: number): string => join(directory, `stream-${stream}.rtpdump`);
const audioOf = (directory: string): string => join(directory, 'audio.wav');

/** Numbers from 0 to 1, the same in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A sender report with a name (RFC 3550 6.4.1, 6.5.1), of a sender whose two streams have one clock. */
function senderReport(ssrc: number, timestamp: number, atMs: number): Buffer {
  const report = Buffer.alloc(28 + 16);
  report.writeUInt32BE(0x80c8_0006, 0);
  report.writeUInt32BE(ssrc, 4);
  const seconds = NTP_EPOCH + (STARTED_AT_MS + atMs) / 1000;
  report.writeUInt32BE(Math.floor(seconds), 8);
  report.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), 12);
  report.writeUInt32BE(timestamp >>> 0, 16);
  report.writeUInt32BE(0x81ca_0003, 28);
  report.writeUInt32BE(ssrc, 32);
  report.write('\x01\x04call', 36, 'latin1');
  return report;
}

/** Writes the journal of one stream; returns what its manifest has to tell. */
function synthesise(path: string, stream: number, hours: number): { packets: number; lostPackets: number } {
  const random = randomNumbers(stream);
  const header = { address: '127.0.0.1', port: 20_000 + 2 * stream, startedAtMs: STARTED_AT_MS };
  const journal = new JournalWriter(path, header, ({ message }) => {
    throw new Error(message);
  });
  const ssrc = 0x1000 + stream;
  const speech = Buffer.from(Array.from({ length: 65_536 }, () => Math.floor(random() * 256)));
  const sent = (hours * 3_600_000) / PACKET_MS;
  let packets = 0;
  let firstKept = -1;
  let lastKept = -1;
  let held: Buffer | undefined;
  let lastArrivalMs = 0;
  for (let index = 0; index < sent; index++) {
    const sentMs = index * PACKET_MS * (1 + (stream * DRIFT_PPM) / 1e6);
    const arrivalMs = Math.max(lastArrivalMs, sentMs + random() * JITTER_MS);
    lastArrivalMs = arrivalMs;
    if ((index * PACKET_MS) % REPORT_EVERY_MS === 0) {
      const report = senderReport(ssrc, index * PAYLOAD_BYTES, sentMs);
      journal.append(report, report.length, STARTED_AT_MS + arrivalMs, true);
    }
    if (random() < LOSS) continue;
    const packet = Buffer.alloc(12 + PAYLOAD_BYTES);
    packet.writeUInt16BE(0x8000, 0);
    packet.writeUInt16BE(index & 0xffff, 2);
    packet.writeUInt32BE((index * PAYLOAD_BYTES) >>> 0, 4);
    packet.writeUInt32BE(ssrc, 8);
    speech.copy(packet, 12, (index * 97) % 65_000);
    if (firstKept < 0) firstKept = index;
    lastKept = index;
    packets++;
    if (held === undefined && random() < REORDERED && index < sent - 100) {
      held = packet;
      continue;
    }
    journal.append(packet, packet.length, STARTED_AT_MS + arrivalMs, false);
    if (held !== undefined) journal.append(held, held.length, STARTED_AT_MS + arrivalMs, false);
    held = undefined;
  }
  journal.close();
  return { packets, lostPackets: lastKept - firstKept + 1 - packets };
}

const memoryMiB = (field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) / 1024;

async function measured<Result extends object>(work: () => Promise<Result>): Promise<Result & Figures> {
  const startMiB = memoryMiB('VmRSS');
  const cpu = process.cpuUsage();
  const start = performance.now();
  const result = await work();
  const { user, system } = process.cpuUsage(cpu);
  return {
    ...result,
    cpuSeconds: (user + system) / 1e6,
    wallSeconds: (performance.now() - start) / 1000,
    peakMiB: memoryMiB('VmHWM') - startMiB,
  };
}

async function assembleCall(directory: string) {
  const { audio, streams } = await assemble({
    outPath: audioOf(directory),
    streams: STREAMS.map((stream) => ({
      label: String(stream),
      journalPaths: [journalOf(directory, stream)],
      codecs: new Map([[0, 'PCMU']]),
    })),
  });
  return {
    durationMs: audio?.durationMs ?? 0,
    packets: streams.map(({ packets }) => packets),
    lostPackets: streams.map(({ lostPackets }) => lostPackets),
  };
}

/** The least that any assembly has to do. */
async function copy(directory: string): Promise<object> {
  const chunk = Buffer.alloc(256 * 1024);
  for (const stream of STREAMS) {
    const journal = openSync(journalOf(directory, stream), 'r');
    while (readSync(journal, chunk) > 0);
    closeSync(journal);
  }
  const file = openSync(join(directory, 'floor'), 'w');
  for (let left = statSync(audioOf(directory)).size; left > 0; )
    left -= writeSync(file, chunk, 0, Math.min(left, chunk.length));
  closeSync(file);
  return {};
}

const WORK = { assemble: assembleCall, copy };

/** In a process of its own. */
const run = <Result>(work: keyof typeof WORK, directory: string): Result =>
  JSON.parse(
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), work, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }).toString(),
  );

/** @throws Error if the assembly is not what was sent */
function benchmark(hours: number): { assembled: Assembled; floor: Figures } {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-bench-'));
  try {
    const sent = STREAMS.map((stream) => synthesise(journalOf(directory, stream), stream, hours));
    const assembled = run<Assembled>('assemble', directory);
    const floor = run<Figures>('copy', directory);
    const told = STREAMS.map((_, index) => ({
      packets: assembled.packets[index],
      lostPackets: assembled.lostPackets[index],
    }));
    if (JSON.stringify(told) !== JSON.stringify(sent))
      throw new Error(`${JSON.stringify(told)} packets were assembled of ${JSON.stringify(sent)}`);
    const expectedMs = hours * 3_600_000 * (1 + (Math.max(...STREAMS) * DRIFT_PPM) / 1e6);
    if (Math.abs(assembled.durationMs - expectedMs) > 100)
      throw new Error(`${assembled.durationMs} ms were assembled of ${expectedMs}`);
    return { assembled, floor };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function main(): void {
  const columns = ['call', 'work', 'audio s per CPU s', 'CPU s', 'wall s', 'peak MiB'];
  const row = (cells: readonly unknown[]) =>
    console.log(cells.map((cell, index) => String(cell).padEnd(columns[index]?.length ?? 0)).join('  '));
  row(columns);
  const results = HOURS.map((hours) => {
    const { assembled, floor } = benchmark(hours);
    for (const [work, figures] of Object.entries({ assembly: assembled, floor })) {
      const { cpuSeconds, wallSeconds, peakMiB } = figures;
      const speed = Math.round((hours * 3600) / cpuSeconds);
      row([`${hours} h`, work, speed, cpuSeconds.toFixed(2), wallSeconds.toFixed(2), peakMiB.toFixed(1)]);
    }
    return { peakMiB: assembled.peakMiB, timesRealTime: (hours * 3600) / assembled.cpuSeconds };
  });
  const [oneHour, eightHours] = results.map(({ peakMiB }) => Math.round(peakMiB * 10) / 10);
  const timesRealTime = Math.round(Math.min(...results.map((result) => result.timesRealTime)));
  console.log(
    JSON.stringify({ bench: 'assembly', timesRealTime, peakMiB1h: oneHour, peakMiB8h: eightHours }),
  );
}

const [work, directory] = process.argv.slice(2);
if (work !== undefined && work in WORK && directory !== undefined)
  console.log(JSON.stringify(await measured(() => WORK[work as keyof typeof WORK](directory))));
else main();
