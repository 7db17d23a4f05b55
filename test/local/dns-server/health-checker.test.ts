import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import {
  type HealthChange,
  type HealthCheck,
  startHealthChecker,
  UnknownHealthCheckError,
} from '../../../local/dns-server/health-checker.ts';

const ADDRESS = '127.0.0.1';

/** An endpoint whose status can be changed, and which counts its probes. */
async function endpoint() {
  const state = { status: 200, probes: 0, paths: [] as string[] };
  const server: Server = createServer((request, response) => {
    state.probes++;
    state.paths.push(request.url ?? '');
    response.statusCode = state.status;
    response.end();
  }).listen(0, ADDRESS);
  await once(server, 'listening');
  return { state, server, port: (server.address() as AddressInfo).port };
}

function check(port: number, failureThreshold: number): HealthCheck {
  return { id: 's1', address: ADDRESS, port, path: '/healthz', intervalSeconds: 10, failureThreshold };
}

/** Starts a checker (10 s become 10 ms) whose changes can be awaited one by one. */
function watch(checks: HealthCheck[]) {
  const changes: HealthChange[] = [];
  let wake = () => {};
  const checker = startHealthChecker({
    checks,
    timeFactor: 1_000,
    onChange: (change) => {
      changes.push(change);
      wake();
    },
  });
  const nextChange = async (): Promise<HealthChange> => {
    while (changes.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return changes.shift() as HealthChange;
  };
  return { checker, nextChange, changes };
}

it('turns unhealthy and healthy again after the threshold of consecutive results', async () => {
  const { state, server, port } = await endpoint();
  const { checker, nextChange } = watch([check(port, 3)]);
  expect(checker.health('s1')).toBe('healthy');
  await once(server, 'request');

  state.status = 503;
  const before = state.probes;
  expect(await nextChange()).toEqual({ id: 's1', health: 'unhealthy', observed: 'status 503' });
  expect(state.probes - before).toBe(3);
  expect(checker.health('s1')).toBe('unhealthy');

  state.status = 302;
  const unhealthyAt = state.probes;
  expect(await nextChange()).toEqual({ id: 's1', health: 'healthy', observed: 'status 302' });
  expect(state.probes - unhealthyAt).toBe(3);
  expect(checker.health('s1')).toBe('healthy');
  expect(new Set(state.paths)).toEqual(new Set(['/healthz']));

  checker.close();
  server.close();
});

it('does not turn when the results alternate', async () => {
  const { state, server, port } = await endpoint();
  server.prependListener('request', () => {
    state.status = state.probes % 2 === 0 ? 200 : 503;
  });
  const { checker, changes } = watch([check(port, 2)]);
  while (state.probes < 8) await once(server, 'request');
  checker.close();
  server.close();
  expect(changes).toEqual([]);
});

it('counts a refused connection as a failure', async () => {
  const { server, port } = await endpoint();
  server.close();
  await once(server, 'close');
  const { checker, nextChange } = watch([check(port, 2)]);
  const change = await nextChange();
  checker.close();
  expect(change).toMatchObject({ health: 'unhealthy', observed: expect.stringContaining('ECONNREFUSED') });
});

it('gives up on an endpoint that accepts and then says nothing for 2 s', async () => {
  const silent = createTcpServer().listen(0, ADDRESS);
  await once(silent, 'listening');
  const { checker, nextChange } = watch([check((silent.address() as AddressInfo).port, 1)]);
  const startedAt = performance.now();
  const change = await nextChange();
  const elapsedMs = performance.now() - startedAt;
  checker.close();
  silent.close();
  expect(change).toMatchObject({ health: 'unhealthy', observed: 'no answer within 2000 ms' });
  expect(elapsedMs).toBeGreaterThan(1_990);
});

it('does not know a check that it was not given', () => {
  const { checker } = watch([]);
  expect(() => checker.health('s9')).toThrow(UnknownHealthCheckError);
  checker.close();
});
