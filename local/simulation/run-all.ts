/** Runs many simulations, in as many threads as asked for. The results do not depend on how many. */
import { Worker } from 'node:worker_threads';
import { POLICIES } from './policies.ts';
import { SCENARIOS } from './scenarios.ts';
import { type SimulationResult, simulate } from './simulate.ts';

/** By names, since functions do not cross threads. */
export interface Task {
  scenario: string;
  policy: string;
  seed: number;
  slots: number;
  calls: number;
}

/** @throws UnknownNameError, FleetSizeError */
export function runTask(task: Task): SimulationResult {
  return simulate({
    ...task,
    scenario: named('scenario', SCENARIOS, task.scenario),
    policy: named('policy', POLICIES, task.policy),
  });
}

/** No such scenario or policy. */
export class UnknownNameError extends Error {
  constructor(kind: string, name: string, known: readonly string[]) {
    super(`${kind} ${name}: expected ${known.join(', ')}`);
    this.name = 'UnknownNameError';
  }
}

/** @throws UnknownNameError */
export function named<T extends { name: string }>(kind: string, all: readonly T[], name: string): T {
  const found = all.find((candidate) => candidate.name === name);
  if (found) return found;
  throw new UnknownNameError(
    kind,
    name,
    all.map((candidate) => candidate.name),
  );
}

/**
 * Runs the tasks.
 * @param onDone told of each task as it ends
 * @returns results in the order of the tasks
 */
export async function runAll(
  tasks: readonly Task[],
  threads: number,
  onDone: (task: Task) => void,
): Promise<SimulationResult[]> {
  const results: SimulationResult[] = [];
  if (threads <= 1) {
    for (const task of tasks) {
      results.push(runTask(task));
      onDone(task);
    }
    return results;
  }
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(threads, tasks.length) }, async () => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url));
      try {
        while (next < tasks.length) {
          const index = next++;
          const task = tasks[index] as Task;
          results[index] = await ask(worker, task);
          onDone(task);
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
  return results;
}

function ask(worker: Worker, task: Task): Promise<SimulationResult> {
  const { promise, resolve, reject } = Promise.withResolvers<SimulationResult>();
  const ended = (code: number) =>
    reject(new Error(`a thread of the simulation ended with exit code ${code}`));
  worker.once('message', resolve).once('error', reject).once('exit', ended);
  worker.postMessage(task);
  return promise.finally(() => worker.off('message', resolve).off('error', reject).off('exit', ended));
}
