/**
 * Preloaded into our Node children (`node --import`): when the parent is gone, standard input closes, and a child
 * without its parent would keep its ports for ever. SIGTERM to itself, so that it ends as it is used to; and SIGKILL
 * later from a process of its own, as the parent would have done, since a child that hangs runs no timers.
 */
import { spawn } from 'node:child_process';
import { isMainThread } from 'node:worker_threads';

const GRACE_SECONDS = 10;

function end(): void {
  const { pid } = process;
  const script = `n=0
    while kill -0 ${pid} && [ $n -lt ${GRACE_SECONDS} ]; do sleep 1; n=$((n + 1)); done
    kill -9 ${pid}`;
  spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' }).unref();
  process.kill(pid, 'SIGTERM');
}

// Worker threads preload it too, and have a standard input of their own that is empty.
if (isMainThread) {
  process.stdin.once('close', end).resume();
  (process.stdin as unknown as { unref: () => void }).unref(); // a pipe, whatever the types say
}
