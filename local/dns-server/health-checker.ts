/**
 * HTTP health checks by Route 53's rules, as far as one checker can keep them (Route 53 has many, and
 * calls an endpoint healthy when more than 18 % of them do).
 */
import { get } from 'node:http';
import { pause } from './pause.ts';

/** Limits of Route 53's HTTP checks: to connect, and from then to the status line. */
const CONNECT_TIMEOUT_MS = 4_000;
const RESPONSE_TIMEOUT_MS = 2_000;

export interface HealthCheck {
  id: string;
  address: string;
  port: number;
  path: string;
  intervalSeconds: number;
  /** Consecutive results that turn the state, either way. */
  failureThreshold: number;
}

export interface HealthChange {
  id: string;
  health: 'healthy' | 'unhealthy';
  /** What the last probe saw: a status, or why there was none. */
  observed: string;
}

export interface HealthCheckerOptions {
  checks: HealthCheck[];
  /** Divides the intervals, for drills: 10 turns 10 s into 1 s. The limits per probe stay. */
  timeFactor?: number;
  onChange: (change: HealthChange) => void;
}

export interface HealthChecker {
  /**
   * State of a check; healthy until the first results are in, as in Route 53.
   * @throws UnknownHealthCheckError
   */
  health(id: string): 'healthy' | 'unhealthy';
  /** Stops all timers and probes. */
  close(): void;
}

export class UnknownHealthCheckError extends Error {
  readonly id: string;

  constructor(id: string) {
    super(`no health check has the id ${id}`);
    this.name = 'UnknownHealthCheckError';
    this.id = id;
  }
}

interface ProbeResult {
  health: 'healthy' | 'unhealthy';
  observed: string;
}

/** Probes every check at once and then at its interval, until closed. */
export function startHealthChecker({
  checks,
  timeFactor = 1,
  onChange,
}: HealthCheckerOptions): HealthChecker {
  const stop = new AbortController();
  const states = new Map<string, ProbeResult['health']>();
  for (const check of checks) {
    states.set(check.id, 'healthy');
    void run(check, (check.intervalSeconds * 1000) / timeFactor, stop.signal, (change) => {
      states.set(change.id, change.health);
      onChange(change);
    });
  }
  return {
    health(id) {
      const health = states.get(id);
      if (!health) throw new UnknownHealthCheckError(id);
      return health;
    },
    close() {
      stop.abort();
    },
  };
}

/** Probes at a fixed rate; a probe that outlasts the interval delays the next one. */
async function run(
  check: HealthCheck,
  intervalMs: number,
  stop: AbortSignal,
  onChange: (change: HealthChange) => void,
): Promise<void> {
  let health: ProbeResult['health'] = 'healthy';
  let contrary = 0;
  while (!stop.aborted) {
    const startedAt = performance.now();
    const result = await probe(check, stop);
    if (stop.aborted) return;
    contrary = result.health === health ? 0 : contrary + 1;
    if (contrary === check.failureThreshold) {
      contrary = 0;
      health = result.health;
      onChange({ id: check.id, ...result });
    }
    await pause(Math.max(0, startedAt + intervalMs - performance.now()), stop);
  }
}

/** One request; it never rejects, since every way to fail is a result. */
function probe({ address, port, path }: HealthCheck, stop: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => {
    // One connection per probe, as Route 53 does: a kept connection would not notice a dead listener.
    const request = get({
      host: address,
      port,
      path,
      agent: false,
      signal: stop,
      headers: { 'User-Agent': 'siprec-ha local health checker' },
    });
    let timer = setTimeout(
      () => request.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
      CONNECT_TIMEOUT_MS,
    );
    const finish = (result: ProbeResult): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(result);
    };
    request.once('socket', (socket) => {
      socket.once('connect', () => {
        clearTimeout(timer);
        timer = setTimeout(
          () => request.destroy(new Error(`no answer within ${RESPONSE_TIMEOUT_MS} ms`)),
          RESPONSE_TIMEOUT_MS,
        );
      });
    });
    request.once('response', (response) => {
      const status = response.statusCode ?? 0;
      finish({
        health: status >= 200 && status < 400 ? 'healthy' : 'unhealthy',
        observed: `status ${status}`,
      });
    });
    request.on('error', (error) => finish({ health: 'unhealthy', observed: error.message }));
  });
}
