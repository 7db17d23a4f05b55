/** S3 tells of each manifest at least once, in any order: here three times, shuffled. */
import { SERVICE_NAME as INDEX } from '../../../../functions/index-recording/constants.ts';
import { sendMessages } from '../../../../functions/shared/work-queue.ts';
import { randomOf } from '../../random.ts';
import type { RecordingsDrill } from '../recordings-drill.ts';
import { HOME } from '../recordings-stage.ts';
import { untilQueued } from './lose-messages.ts';

const TIMES = 3;
const SEED = 1;

export const doubleEvents: RecordingsDrill = {
  name: 'double-events',
  what: 'each event of a manifest comes three times, all of them shuffled',
  async play(stage, count) {
    const functions = stage.functions(HOME);
    const queue = stage.queue(HOME, 'manifestEvents');
    let repeated: string[];
    await functions.setRunning(INDEX, false);
    try {
      await stage.store(HOME, count);
      await untilQueued(stage, { name: INDEX, queue: 'manifestEvents', region: HOME }, count);
      const events = await queue.drain();
      repeated = shuffled(Array.from({ length: TIMES }, () => events).flat());
      await sendMessages(
        queue,
        repeated.map((body) => JSON.parse(body)),
      );
      stage.say(`${events.length} events made ${repeated.length}`);
    } finally {
      await functions.setRunning(INDEX, true);
    }
    const mendedAt = Date.now();
    await stage.untilArrived({ sweeping: false });
    const repairedAt = await stage.untilIdle(); // the last of the repetitions can still do harm
    return { mendedAt, repairedAt, failures: [], figures: { 'events of a manifest': repeated.length } };
  },
};

/** Fisher and Yates's shuffle, the same each time. */
function shuffled<Item>(items: Item[]): Item[] {
  const random = randomOf(SEED);
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other] as Item, result[last] as Item];
  }
  return result;
}
