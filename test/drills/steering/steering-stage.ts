/** What a steering drill needs: the local cloud, an SRC that places calls all the time, and somebody who watches DNS. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseDocument, visit } from 'yaml';
import { serviceDomain, srvName } from '../../../core/slot-plan.ts';
import { LocalCloudRun } from '../../../local/cloud/local-cloud.ts';
import type { RunningSlot } from '../../../local/cloud/slot.ts';
import { INSTALLATION, ROOT } from '../../e2e/npm-start-child.ts';
import { startCaller } from './caller.ts';
import type { PlacedCalls } from './calls.ts';
import { watchDns } from './dns-watch.ts';
import type { SteeringDrill, SteeringDrillOptions, SteeringStage } from './steering-drill.ts';

/** Whatever waits for what never comes ends by then. */
const LONGEST_MS = 15 * 60_000;
/** Calls of a recorder that is stopped may end by themselves. */
const DRAIN_SECONDS = 120;
/** Calls whose BYE cannot arrive end within the drill. */
const SILENCE_SECONDS = 15;

export interface PlayedStage extends SteeringStage {
  /** Places no more calls, and waits for the ends of all. */
  finish: () => Promise<PlacedCalls>;
  stop: () => Promise<void>;
}

/** @throws LocalCloudError */
export async function startSteeringStage(
  { callCapacity }: SteeringDrill,
  options: SteeringDrillOptions,
  interrupt: AbortSignal,
): Promise<PlayedStage> {
  const { log, timeFactor, callMs } = options;
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-steering-'));
  const closers: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  const signal = AbortSignal.any([interrupt, AbortSignal.timeout(LONGEST_MS)]);
  try {
    const run = new LocalCloudRun({
      deploymentFile: writeDeployment(directory, callCapacity),
      stateDirectory: directory,
      installDirectory: INSTALLATION,
      ports: 'free',
      fresh: false,
      healthTimeFactor: timeFactor,
      drainSeconds: DRAIN_SECONDS,
      recorderVariables: { SIPREC_SILENCE_SECONDS: String(SILENCE_SECONDS) },
      onStep: (what) => {
        log(what);
        return () => {};
      },
      onIncident: (what) => log(what.split('\n', 1)[0] as string),
    });
    closers.push(() => run.stop());
    const cloud = await run.start();
    const { deployment } = cloud;
    const { name: service } = deployment.dns.services[0] as { name: string };
    const { name: region } = deployment.regions[0] as { name: string };
    const dns = await watchDns(cloud.dns, srvName(deployment, service, 'udp'));
    closers.push(() => dns.stop());
    const since = new Date();
    const caller = startCaller(cloud, serviceDomain(deployment, service), callMs);
    closers.push(() => caller.stop());
    return {
      cloud,
      options,
      dns,
      signal,
      slot: (name) => cloud.slots.find((slot) => slot.name === name) as RunningSlot,
      slotsOf: (name) => cloud.slots.filter((slot) => slot.region === name),
      shareOf(slot, sinceMs) {
        const calls = caller.results.filter(({ startedAt }) => Date.parse(startedAt) >= sinceMs);
        const taken = calls.filter(({ recorder }) => recorder?.target.startsWith(`${slot}.`));
        return taken.length / calls.length;
      },
      say: log,
      pause: (ms) => pause(ms, undefined, { signal }),
      async finish() {
        await caller.finish();
        const api = { url: cloud.apiUrl(region), region, credentials: cloud.credentials };
        return { api, calls: caller.results, since, signal };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The local deployment, with slots of another size where a drill wants it. */
function writeDeployment(directory: string, callCapacity: number | undefined): string {
  const document = parseDocument(readFileSync(join(ROOT, 'deployments/local.yaml'), 'utf8'));
  if (callCapacity !== undefined)
    visit(document, {
      Pair(_, { key, value }) {
        if (String(key) === 'callCapacity') Object.assign(value as object, { value: callCapacity });
      },
    });
  const file = join(directory, 'deployment.yaml');
  writeFileSync(file, String(document));
  return file;
}
