/** Stores recordings while a function gets nothing from its queue, and purges the queue. */
import type { QueueName, RecordingsStage } from '../recordings-stage.ts';

export interface Reader {
  /** Of the function. */
  name: string;
  queue: QueueName;
  region: string;
}

/** @returns the messages that were lost */
export async function loseMessages(
  stage: RecordingsStage,
  { name, queue, region }: Reader,
  count: number,
): Promise<number> {
  const functions = stage.functions(region);
  await functions.setRunning(name, false);
  try {
    await stage.store(region, count);
    const messages = await untilQueued(stage, { name, queue, region }, count);
    await stage.queue(region, queue).purge();
    stage.say(`${count} recordings stored, and all ${messages} messages to ${name} lost`);
    return messages;
  } finally {
    await functions.setRunning(name, true);
  }
}

/** Waits for so many messages in the queue. @returns how many there are */
export const untilQueued = (
  stage: RecordingsStage,
  { name, queue, region }: Reader,
  count: number,
): Promise<number> =>
  stage.until(`${count} messages to ${name}`, async () => {
    const queued = await stage.queue(region, queue).count();
    return queued >= count ? queued : undefined;
  });
