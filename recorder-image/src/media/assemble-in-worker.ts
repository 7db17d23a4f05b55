/** Assembles recordings beside the main thread, a few at a time; the others wait for their turn. */
import { availableParallelism } from 'node:os';
import type { Assembly, AssemblyJob } from './assemble.ts';
import type { AssemblyService } from './assemble-worker.ts';
import { WorkerChannel } from './worker-channel.ts';

/** Recordings that are assembled at once; the rest of the machine receives. */
export const ASSEMBLY_THREADS = Math.max(1, Math.floor(availableParallelism() / 2));

/** Packets are short-lived: with more room for them the garbage of a long call only lies longer. */
const MAX_YOUNG_GENERATION_MB = 3;

interface QueuedJob extends PromiseWithResolvers<Assembly> {
  job: AssemblyJob;
}

type Thread = WorkerChannel<AssemblyService>;

const queue: QueuedJob[] = [];
/** All threads; they start when there is work for them, and stay. */
const threads = new Set<Thread>();
const idle = new Set<Thread>();

/**
 * Assembles one recording, see `assemble`. Threads without work don't keep the process alive, and a process that
 * ends in the middle leaves nothing to repair: journals are only read, and the file appears when it is whole.
 * @throws WorkerCallError it failed; `code` is an errno name where the file system did
 * @throws WorkerExitedError the thread died over it; the next recording gets a new one
 */
export function assembleInWorker(job: AssemblyJob): Promise<Assembly> {
  const queued = { job, ...Promise.withResolvers<Assembly>() };
  queue.push(queued);
  startNext();
  return queued.promise;
}

function startNext(): void {
  if (queue.length === 0) return;
  const thread = freeThread();
  if (thread === undefined) return;
  idle.delete(thread);
  thread.ref();
  const { job, resolve, reject } = queue.shift() as QueuedJob;
  thread
    .call('assemble', job)
    .then(resolve, reject)
    .finally(() => {
      if (threads.has(thread)) idle.add(thread);
      thread.unref();
      startNext();
    });
}

function freeThread(): Thread | undefined {
  const [waiting] = idle;
  return waiting ?? (threads.size < ASSEMBLY_THREADS ? startThread() : undefined);
}

function startThread(): Thread {
  const thread: Thread = new WorkerChannel({
    script: 'assemble-worker',
    resourceLimits: { maxYoungGenerationSizeMb: MAX_YOUNG_GENERATION_MB },
    onExit: () => {
      threads.delete(thread);
      idle.delete(thread);
    },
  });
  threads.add(thread);
  return thread;
}
