/**
 * Calls from the main thread to a worker thread, by method name, and events back.
 * A worker offers its methods with `serve`; the main thread calls them through a `WorkerChannel`.
 */
import { parentPort, type ResourceLimits, Worker } from 'node:worker_threads';

/** What a worker offers: methods of one argument that structured cloning can carry, and so its result. */
export type WorkerService = Record<string, (argument: never) => unknown>;

type Argument<Method> = Method extends (argument: infer A) => unknown ? A : never;
type Result<Method> = Method extends (argument: never) => infer R ? Awaited<R> : never;

interface Call {
  id: number;
  method: string;
  argument: unknown;
}

type Message =
  | { kind: 'result'; id: number; result: unknown }
  | { kind: 'failure'; id: number; message: string; code: string | undefined; stack: string | undefined }
  | { kind: 'event'; event: unknown };

/** A method failed in the worker. `code` is that of the error there, such as `ENOSPC`. */
export class WorkerCallError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined, workerStack: string | undefined) {
    super(message);
    this.name = 'WorkerCallError';
    this.code = code;
    if (workerStack !== undefined) this.stack = workerStack;
  }
}

/** The worker thread is gone, and with it what it held in memory. `cause` is its uncaught exception, if any. */
export class WorkerExitedError extends Error {
  readonly script: string;

  constructor(script: string, exitCode: number, options?: ErrorOptions) {
    super(`the worker thread ${script} has exited (code ${exitCode})`, options);
    this.name = 'WorkerExitedError';
    this.script = script;
  }
}

export interface WorkerChannelOptions<Event> {
  /** Name of a worker's file in this folder, without its ending. */
  script: string;
  workerData?: unknown;
  resourceLimits?: ResourceLimits;
  onEvent?: (event: Event) => void;
  /** The worker ended without `stop`. Pending calls have been rejected with the same error. */
  onExit?: (error: WorkerExitedError) => void;
}

// Production runs one bundle of this program, with the bundles of its workers beside it.
const scriptUrl = (script: string): URL =>
  new URL(`./${script}${import.meta.url.endsWith('.ts') ? '.ts' : '.mjs'}`, import.meta.url);

export class WorkerChannel<Service extends WorkerService, Event = never> {
  readonly #worker: Worker;
  readonly #options: WorkerChannelOptions<Event>;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #uncaught: ErrorOptions | undefined;
  #exited: WorkerExitedError | undefined;
  #stopping = false;

  constructor(options: WorkerChannelOptions<Event>) {
    this.#options = options;
    const { script, workerData, resourceLimits = {} } = options;
    this.#worker = new Worker(scriptUrl(script), { workerData, resourceLimits });
    this.#worker.on('message', (message: Message) => this.#onMessage(message));
    this.#worker.on('error', (cause) => {
      this.#uncaught = { cause };
    });
    this.#worker.on('exit', (exitCode) => this.#onExit(exitCode));
  }

  /**
   * @throws WorkerCallError the method threw
   * @throws WorkerExitedError the worker is gone, or went before it answered
   */
  call<Method extends string & keyof Service>(
    method: Method,
    argument: Argument<Service[Method]>,
  ): Promise<Result<Service[Method]>> {
    if (this.#exited !== undefined) return Promise.reject(this.#exited);
    const id = ++this.#lastId;
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    this.#worker.postMessage({ id, method, argument } satisfies Call);
    return pending.promise as Promise<Result<Service[Method]>>;
  }

  /** Keeps the process alive as long as the worker; that is so from the start. */
  ref(): void {
    this.#worker.ref();
  }

  /** Lets the process end although the worker has not. */
  unref(): void {
    this.#worker.unref();
  }

  /** Ends the worker at once; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#worker.terminate();
  }

  /** Ends the worker at once, as an uncaught exception in it would: `onExit` is called. For drills. */
  async crash(): Promise<void> {
    await this.#worker.terminate();
  }

  #onMessage(message: Message): void {
    if (message.kind === 'event') {
      this.#options.onEvent?.(message.event as Event);
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === 'result') pending?.resolve(message.result);
    else pending?.reject(new WorkerCallError(message.message, message.code, message.stack));
  }

  #onExit(exitCode: number): void {
    const error = new WorkerExitedError(this.#options.script, exitCode, this.#uncaught);
    this.#exited = error;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    if (!this.#stopping) this.#options.onExit?.(error);
  }
}

const post = (message: Message): void => mainThread().postMessage(message);

function mainThread(): NonNullable<typeof parentPort> {
  if (parentPort === null) throw new Error('this file runs in a worker thread only');
  return parentPort;
}

/** Worker side: answers calls with the methods of `service`. */
export function serve(service: WorkerService): void {
  mainThread().on('message', async ({ id, method, argument }: Call) => {
    try {
      const result = await service[method]?.(argument as never);
      post({ kind: 'result', id, result });
    } catch (error) {
      const { message, code, stack } = error as NodeJS.ErrnoException;
      post({ kind: 'failure', id, message, code, stack });
    }
  });
}

/** Worker side: tells the main thread of something that it did not ask for. */
export const sendEvent = (event: unknown): void => post({ kind: 'event', event });
