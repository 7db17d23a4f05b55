/** A thread of the simulation: one task in, one result out. */
import { parentPort } from 'node:worker_threads';
import { runTask, type Task } from './run-all.ts';

parentPort?.on('message', (task: Task) => parentPort?.postMessage(runTask(task)));
