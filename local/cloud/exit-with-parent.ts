/**
 * Preloaded into our Node children (`node --import`): when the parent is gone, standard input closes, and a child
 * without its parent would keep its ports for ever. SIGTERM to itself, so that it ends as it is used to.
 */
import { isMainThread } from 'node:worker_threads';

// Worker threads preload it too, and have a standard input of their own that is empty.
if (isMainThread) {
  const end = () => process.kill(process.pid, 'SIGTERM');
  process.stdin.on('end', end).on('error', end).resume();
  (process.stdin as unknown as { unref: () => void }).unref(); // a pipe, whatever the types say
}
