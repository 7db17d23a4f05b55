/** What others tell a recorder that runs: that its region is closed, that its instance is about to go, that it is to drain. */
import type { Logger } from 'pino';
import type { RecorderEnvironment } from '../../../core/recorder-environment.ts';
import { type ControlSocket, openControlSocket } from './control-socket.ts';
import { ssmParameter, watchRegionSwitch } from './region-switch.ts';
import { watchTermination } from './termination-notice.ts';

/** A Spot Instance goes at the time that it was told: this long before it, what runs is ended, and then finished. */
const TERMINATION_MARGIN_MS = 30_000;

/** Somebody other than this process's parent wants the recorder to stop. */
export interface DrainRequest {
  why: string;
  /** There is no more time than that for running recordings; absent if nobody says so. */
  ceilingMs?: number;
}

export interface OrdersOptions {
  environment: RecorderEnvironment;
  onRegion: (isClosed: boolean) => void;
  activeRecordings: () => number;
  logger: Logger;
  /** Between two looks at what others say. Default: 5 s. */
  pollMs?: number;
}

export interface Orders {
  drainRequested: Promise<DrainRequest>;
  /** To be called before the lock of the spool is released. */
  stop(): Promise<void>;
}

/** Takes orders for whoever has the lock of the spool. What the region switch says is known when it resolves, if it can be. */
export async function takeOrders(options: OrdersOptions): Promise<Orders> {
  const stopRegion = await followRegion(options);
  const drain = Promise.withResolvers<DrainRequest>();
  const stopTermination = expectTermination(options, drain.resolve);
  const control = await listen(options, drain.resolve);
  return {
    drainRequested: drain.promise,
    async stop() {
      stopRegion();
      stopTermination();
      await control?.close();
    },
  };
}

type OnRequest = (request: DrainRequest) => void;

const interval = ({ pollMs }: OrdersOptions) => (pollMs === undefined ? {} : { intervalMs: pollMs });

/** A closed region gets no call from a recorder that starts: the first look is waited for. */
async function followRegion(options: OrdersOptions): Promise<() => void> {
  const { environment, onRegion, activeRecordings, logger } = options;
  const name = environment.SIPREC_REGION_SWITCH;
  if (!name) {
    logger.info('SIPREC_REGION_SWITCH is not set: this recorder cannot be told to close its region');
    return () => {};
  }
  const parameter = ssmParameter(name);
  const regionSwitch = watchRegionSwitch({
    name,
    read: parameter.read,
    onChange: (value) => {
      logger.warn({ active: activeRecordings() }, `the region is ${value}`);
      onRegion(value === 'closed');
    },
    logger,
    ...interval(options),
  });
  await regionSwitch.first;
  return () => {
    regionSwitch.stop();
    parameter.close();
  };
}

function expectTermination(options: OrdersOptions, onRequest: OnRequest): () => void {
  const { environment, logger } = options;
  const endpoint = environment.SIPREC_INSTANCE_METADATA;
  if (!endpoint) return () => {};
  return watchTermination({
    endpoint,
    onNotice: ({ why, at }) => {
      logger.warn({ at }, why);
      const leftMs = at && Math.max(0, at.getTime() - Date.now() - TERMINATION_MARGIN_MS);
      onRequest({ why, ...(leftMs !== undefined && { ceilingMs: leftMs }) });
    },
    logger,
    ...interval(options),
  });
}

/** Undefined where there can be no socket: that costs the command, and no call. */
async function listen(options: OrdersOptions, onRequest: OnRequest): Promise<ControlSocket | undefined> {
  const { environment, activeRecordings, logger } = options;
  try {
    return await openControlSocket(environment.SIPREC_SPOOL, () => {
      const active = activeRecordings();
      logger.info({ active }, 'drain: the command has come');
      onRequest({ why: 'the command drain' });
      return active;
    });
  } catch (error) {
    logger.warn({ err: error }, 'the command drain will not reach this recorder; SIGTERM does');
    return undefined;
  }
}
