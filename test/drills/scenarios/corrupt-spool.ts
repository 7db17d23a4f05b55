import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Damage, damage } from '../damage.ts';
import type { Drill } from '../drill.ts';
import { PortWatch } from '../listening.ts';
import { randomOf } from '../random.ts';
import { type DrillStream, recordingsIn } from '../stage.ts';
import { PACKET_MS } from '../voice.ts';
import { ORPHAN_SILENCE } from './orphans.ts';
import { settled } from './settled.ts';

/** Beside a spoiled record so many may be lost: a reader that has lost its way finds it again at the next that is whole. */
const NEIGHBOURS = 2;

export const corruptSpool: Drill = {
  name: 'corrupt-spool',
  what: 'the recorder is killed; its journals are cut off and bits in them flipped; another recorder gets the spool',
  variables: ORPHAN_SILENCE,
  async play(stage, { calls, talkMs, seed, log }) {
    const victim = await stage.startRecorder();
    log(`${calls} calls`);
    const placed = await stage.placeCalls(calls);
    await stage.pause(talkMs);
    const watch = new PortWatch(placed.flatMap(({ streams }) => streams.map(({ rtpPort }) => rtpPort)));
    stage.onDispose(() => watch.stop());
    const killedAtMs = Date.now();
    await victim.kill();
    watch.died(killedAtMs);
    await stage.stopMedia(placed);
    watch.stop();

    const random = randomOf(seed);
    const damages = new Map<DrillStream, Damage>();
    const counts: Record<string, number> = {};
    const directories = new Map(
      recordingsIn(stage.spool).map((name) => [
        sipCallIdOf(join(stage.spool, name)),
        join(stage.spool, name),
      ]),
    );
    for (const { call, streams } of placed) {
      const directory = directories.get(call.facts.sipCallId);
      if (directory === undefined) throw new Error(`nothing of ${call.facts.sipCallId} is in the spool`);
      streams.forEach((stream, index) => {
        const done = damage(join(directory, `stream-${index + 1}.rtpdump`), random);
        damages.set(stream, done);
        counts[done.kind] = (counts[done.kind] ?? 0) + 1;
      });
      if (random() < 0.25) {
        cutLastLine(join(directory, 'session.jsonl'), random);
        counts['session records cut off'] = (counts['session records cut off'] ?? 0) + 1;
      }
    }
    log(`damaged: ${JSON.stringify(counts)}; another recorder`);
    cpSync(stage.spool, join(stage.directory, 'damaged'), { recursive: true }); // to be looked at if this does not pass
    writeFileSync(join(stage.directory, 'damages.json'), JSON.stringify([...damages], null, 2));
    const since = performance.now();
    await stage.startRecorder();
    const { recoverySeconds, failures } = await settled(stage, {
      count: placed.length,
      spools: [stage.spool],
      since,
    });
    if (damages.size === counts.intact) failures.push('no journal was damaged: nothing was drilled');
    return {
      expected: [
        {
          calls: placed,
          statuses: ['recovered'],
          endings: ['crash'],
          causes: ['crash', 'lost'],
          maxMissingMs: 1_000, // the last second, which was in no journal yet
          // A flipped bit in a payload is not known to be wrong; one in a header can also lead the packet astray.
          maxDifferingMs: (stream) => 2 * PACKET_MS * (damages.get(stream)?.spoiled.length ?? 0),
        },
      ],
      excused: (stream, packet, sentAtMs) =>
        watch.excuse(stream, packet, sentAtMs) || isDestroyed(damages.get(stream), packet),
      recoverySeconds,
      failures,
      figures: Object.fromEntries(
        Object.entries(counts).map(([kind, count]) => [`journals: ${kind}`, count]),
      ),
    };
  },
};

const isDestroyed = (damage: Damage | undefined, packet: number): boolean =>
  damage !== undefined &&
  (packet >= damage.cutAt || damage.spoiled.some((spoiled) => Math.abs(packet - spoiled) <= NEIGHBOURS));

function sipCallIdOf(directory: string): string {
  const [first = ''] = readFileSync(join(directory, 'session.jsonl'), 'utf8').split('\n');
  return (JSON.parse(first) as { sipCallId: string }).sipCallId;
}

/** As a crash of the machine may leave a file that was being appended to. */
function cutLastLine(path: string, random: () => number): void {
  const text = readFileSync(path);
  const lastLine = text.lastIndexOf('\n', text.length - 2) + 1;
  truncateSync(path, lastLine + Math.floor(random() * (text.length - lastLine - 1)));
}
