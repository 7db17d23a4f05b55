/** `npm start` as its user meets it: one state directory, several starts, and every way to end one. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ApiClientOptions, apiGet } from '../../local/api-client.ts';
import { credentialsOf } from '../../local/cloud/emulator.ts';
import { eventually } from './eventually.ts';
import {
  type CliRun,
  type ProcessInfo,
  portsStillTaken,
  processesOf,
  ROOT,
  runCli,
  startCli,
  untilNoProcessIsLeft,
} from './npm-start-child.ts';
import { runSipp } from './sipp.ts';

const TIMEOUT_MS = 90_000;
const FIRST_START_TIMEOUT_MS = 6 * 60_000;

const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-npm-start-'));
const state = join(directory, 'state');
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const runs: CliRun[] = [];

function start(args: string[], env?: NodeJS.ProcessEnv): CliRun {
  const run = startCli(state, ['--free-ports', ...args], env);
  runs.push(run);
  return run;
}

/** A test that failed must not spoil the next one. */
afterEach(async () => {
  for (const run of runs.splice(0)) run.kill('SIGKILL');
  await untilNoProcessIsLeft(state);
});

/** Waits until the cloud is up and its addresses are printed. */
const untilUp = (run: CliRun) => run.until(/Ctrl-C stops everything/);

async function expectNothingLeft(run: { said: () => string }): Promise<void> {
  await untilNoProcessIsLeft(state); // those killed take a moment to vanish
  expect(await portsStillTaken(run.said())).toEqual([]);
}

/** Ends a run that stays up, as Ctrl-C does. */
async function stop(run: CliRun): Promise<void> {
  run.kill('SIGINT');
  expect(await run.exited).toEqual({ code: 0, signal: null });
  expect(run.said()).toMatch(/stopping \.\.\.\n$/);
  await expectNothingLeft(run);
}

/** The query API of a region, as the hints print it. */
function apiOf(run: CliRun, region: string): ApiClientOptions {
  const [, url] = new RegExp(`^  ${region}  (http://\\S+)$`, 'm').exec(run.said()) as RegExpExecArray;
  return { url: url as string, region, credentials: credentialsOf('000000000000') };
}

interface Listed {
  recordingId: string;
  status: string;
  slot: string;
}

async function recordings(api: ApiClientOptions): Promise<Listed[]> {
  return ((await apiGet(api, '/recordings', { limit: '100' })) as { items: Listed[] }).items;
}

/** The time of a step, in seconds. */
const stepSeconds = (said: string, step: string): number =>
  Number((new RegExp(`([\\d.]+) s  ${step}`).exec(said) as RegExpExecArray)[1]);

/** Waits for a process of the cloud. */
const processWith = (what: string, wanted: (process: ProcessInfo) => boolean): Promise<ProcessInfo> =>
  eventually(what, () => processesOf(state).find(wanted));

const isEmulator = ({ command }: ProcessInfo): boolean => command.includes('run_emulator.py');
const isCdkDeploy = ({ command }: ProcessInfo): boolean => command.includes('/cdk deploy');
const isRecorder = ({ environment }: ProcessInfo): boolean => environment.has('SIPREC_SLOT');

/** How many calls a recorder has taken. */
async function callsTaken({ environment }: ProcessInfo): Promise<number> {
  const status = `http://127.0.0.1:${environment.get('SIPREC_HEALTH_PORT')}/status`;
  const response = await fetch(status).catch(() => undefined); // it is only starting
  const facts = (await response?.json()) as { invites: { answered: number } } | undefined;
  return facts?.invites.answered ?? 0;
}

/** Waits until all calls are answered, so that none is just being set up. @returns a recorder that has one */
const busyRecorder = (calls: number): Promise<ProcessInfo> =>
  eventually(`the answer to ${calls} calls`, async () => {
    const recorders = processesOf(state).filter(isRecorder);
    const taken = await Promise.all(recorders.map(callsTaken));
    const total = taken.reduce((sum, count) => sum + count, 0);
    return total === calls ? recorders[taken.findIndex((count) => count > 0)] : undefined;
  });

describe('npm start', () => {
  let firstDeploymentSeconds: number;

  it(
    'records calls, finds and checks them, whatever AWS settings and proxy the user has',
    async () => {
      const { code, said } = await runCli(
        state,
        ['--free-ports', '--calls', '2', '--duration', '1', '--exit'],
        {
          AWS_PROFILE: 'no-such-profile',
          AWS_SESSION_TOKEN: 'of-another-account',
          HTTP_PROXY: 'http://127.0.0.1:9',
          http_proxy: 'http://127.0.0.1:9',
        },
      );
      expect(said).toMatch(
        / {2}call {2}recorder {2}region {5}parties {23}direction {2}duration {2}status {4}copies {16}copied in {2}audio +recording\n/,
      );
      const row = (call: number, rest: string) =>
        new RegExp(
          `^  ${call}     (use1|usw2)-\\d    us-(east-1|west-2)  ${rest}   1\\.0\\d s    complete  us-east-1, us-west-2  \\d+\\.\\d\\d s +\\d+ Hz \\| \\d+ Hz ok +[0-9A-Z]{26}$`,
          'm',
        );
      expect(said).toMatch(row(1, '\\+12015550100 -> \\+12015550101  outgoing'));
      expect(said).toMatch(row(2, '\\+12015550102 <- \\+12015550103  incoming'));
      expect(said).toMatch(/\n2 of 2 calls recorded, found and checked\n$/);
      expect(code).toBe(0);
      firstDeploymentSeconds = stepSeconds(said, 'deploy the stacks');
      await expectNothingLeft({ said: () => said });
    },
    FIRST_START_TIMEOUT_MS,
  );

  it(
    'starts faster again, has its old recordings, and prints commands that work',
    async () => {
      const run = start(['--calls', '0']);
      await untilUp(run);
      expect(stepSeconds(run.said(), 'deploy the stacks')).toBeLessThan(firstDeploymentSeconds);
      const before = await recordings(apiOf(run, 'us-east-1'));
      expect(before.map(({ status }) => status)).toEqual(['complete', 'complete']);
      expect(await recordings(apiOf(run, 'us-west-2'))).toEqual(before);

      const shell = async (command: string) =>
        (await promisify(execFile)('sh', ['-c', command], { cwd: ROOT })).stdout;
      const hint = (pattern: RegExp) => (pattern.exec(run.said()) as RegExpExecArray)[1] as string;
      const [simulated] = await Promise.all([
        shell(hint(/^ {2}(npm run simulate:calls .*)$/m)),
        runSipp(hint(/^ {2}sipp (.*)$/m).split(' ')),
      ]);
      expect(simulated).toMatch(/recorded/);
      await eventually('the two new recordings', async () =>
        (await recordings(apiOf(run, 'us-east-1'))).length === before.length + 2 ? true : undefined,
      );
      const list = await shell(hint(/^ {2}(curl .*\/recordings\?limit=5')$/m));
      const [newest] = (JSON.parse(list) as { items: Listed[] }).items as [Listed];
      const playback = await shell(
        hint(/^ {2}(curl .*\/audio')$/m).replace('<recordingId>', newest.recordingId),
      );
      const response = await fetch((JSON.parse(playback) as { url: string }).url);
      expect(Buffer.from(await response.arrayBuffer()).toString('latin1', 0, 4)).toBe('RIFF');
      await stop(run);
    },
    TIMEOUT_MS,
  );

  let killedSlot: string;

  it(
    'says which recorder died during the calls, and which calls suffered',
    async () => {
      const run = start(['--calls', '6', '--duration', '4', '--exit']);
      const victim = await busyRecorder(6);
      killedSlot = victim.environment.get('SIPREC_SLOT') as string;
      process.kill(victim.pid, 'SIGKILL');
      const { code } = await run.exited;
      const said = run.said();
      expect(said).toContain(`  !  recorder ${killedSlot} ended with SIGKILL`);
      expect(said).toMatch(
        new RegExp(`  recorder ${killedSlot} \\(us-\\w+-\\d\\) ended with SIGKILL during the calls`),
      );
      expect(said).toMatch(new RegExp(`^  \\d     ${killedSlot} .* not found +- +- +- WRONG +-$`, 'm'));
      expect(said).toMatch(/^ {2}call \d: failed: BYE: /m);
      expect(said).toMatch(/^ {2}call \d: the API has no recording of it$/m);
      expect(said).toMatch(/\d of 6 calls recorded, found and checked; \d WRONG\n$/);
      expect(code).toBe(1);
      await expectNothingLeft(run);
    },
    TIMEOUT_MS,
  );

  it(
    'finishes at the next start what a dead recorder left, and leaves nothing even when killed itself',
    async () => {
      const run = start(['--calls', '0']);
      await untilUp(run);
      const api = apiOf(run, 'us-east-1');
      const rescued = await eventually('a rescued recording', async () => {
        const incomplete = (await recordings(api)).filter(({ status }) => status !== 'complete');
        return incomplete.length > 0 ? incomplete : undefined;
      });
      for (const { slot, status } of rescued) expect([slot, status]).toEqual([killedSlot, 'recovered']);
      run.kill('SIGKILL');
      expect(await run.exited).toEqual({ code: null, signal: 'SIGKILL' });
      await untilNoProcessIsLeft(state);
      await expectNothingLeft(run);
    },
    TIMEOUT_MS,
  );

  it(
    'ends with a message when the emulator dies',
    async () => {
      const run = start(['--calls', '0']);
      await untilUp(run);
      const emulator = processesOf(state).find(({ command }) => command.includes('run_emulator.py'));
      process.kill((emulator as ProcessInfo).pid, 'SIGKILL');
      expect((await run.exited).code).toBe(1);
      expect(run.said()).toMatch(
        /\nthe AWS emulator ended with SIGKILL\n {2}all it said: .*emulator\.log\nStart again; with --fresh/,
      );
      expect(run.said()).not.toMatch(/^\s+at /m);
      await expectNothingLeft(run);
    },
    TIMEOUT_MS,
  );

  it(
    'shows, while it stays up, that a process died and that its slot became unhealthy',
    async () => {
      const run = start(['--calls', '0', '--health-time-factor', '20']);
      await untilUp(run);
      const [, slot, pid] = /^ {2}(\S+) .* pid (\d+)$/m.exec(run.said()) as RegExpExecArray;
      process.kill(Number(pid), 'SIGKILL');
      await run.until(new RegExp(`!  recorder ${slot} ended with SIGKILL`));
      await run.until(new RegExp(`!  health check of ${slot}: unhealthy \\(.*ECONNREFUSED`));
      await run.until(new RegExp(`^ {2}[0-9:]{8} {2}${slot} does not answer$`, 'm'));
      await run.until(new RegExp(`^ {2}[0-9:]{8} {2}${slot} has left DNS$`, 'm'));
      await stop(run);
    },
    TIMEOUT_MS,
  );

  it(
    'hangs up and stops when interrupted during the calls',
    async () => {
      const run = start(['--calls', '4', '--duration', '60']);
      await busyRecorder(4);
      run.kill('SIGINT');
      expect(await run.exited).toEqual({ code: 130, signal: null });
      expect(run.said()).toMatch(/stopping \.\.\.\n$/);
      await expectNothingLeft(run);
    },
    TIMEOUT_MS,
  );

  it.each([
    ['the emulator starts', isEmulator],
    ['the CDK deploys', isCdkDeploy],
    ['the recorders start', isRecorder],
  ])(
    'stops everything when interrupted while %s',
    async (what, underWay) => {
      const run = start([]);
      await processWith(what, underWay);
      run.kill('SIGTERM');
      expect(await run.exited).toEqual({ code: 143, signal: null });
      expect(run.said()).toMatch(/stopping \.\.\.\n$/);
      await expectNothingLeft(run);
    },
    TIMEOUT_MS,
  );

  it(
    'uses the drachtio binary that DRACHTIO_SERVER names',
    async () => {
      const drachtio = join(directory, 'drachtio');
      const standIn = join(ROOT, 'test/e2e/drachtio-stand-in.ts');
      writeFileSync(drachtio, `#!/bin/sh\nexec '${process.execPath}' '${standIn}' "$@"\n`);
      chmodSync(drachtio, 0o755);
      const run = start(['--calls', '2', '--duration', '1', '--transport', 'tcp'], {
        DRACHTIO_SERVER: drachtio,
      });
      await untilUp(run);
      expect(run.said()).toContain(`Recorders (SIP by ${drachtio}):`);
      expect(run.said()).toContain('2 of 2 calls recorded, found and checked');
      const sipServers = processesOf(state).filter(({ command }) => command.includes('-f '));
      expect(sipServers.map(({ command }) => command)).toEqual(
        Array(4).fill(expect.stringMatching(/drachtio-stand-in\.ts -f .*-drachtio\.conf\.xml$/)),
      );
      await stop(run);
    },
    TIMEOUT_MS,
  );
});
