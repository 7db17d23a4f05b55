/** A local cloud for one test file, in this process, on ports and in a directory of its own. */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiClientOptions } from '../../local/api-client.ts';
import { type LocalCloud, LocalCloudRun } from '../../local/cloud/local-cloud.ts';
import type { RunningSlot } from '../../local/cloud/slot.ts';
import { INSTALLATION, ROOT } from './npm-start-child.ts';

/** For `beforeAll`: the first start on a machine downloads the emulator. */
export const CLOUD_START_TIMEOUT_MS = 6 * 60_000;

export const DOMAIN = 'siprec.rec.example.com';

export interface TestCloud {
  cloud: LocalCloud;
  api: (region: string) => ApiClientOptions;
  slot: (name: string) => RunningSlot;
  /** Waits until the cloud tells of an incident, unless it has already. */
  untilIncident: (pattern: RegExp) => Promise<void>;
  stop: () => Promise<void>;
}

/** @param healthTimeFactor 20 turns the 10 s between health checks into half a second */
export async function startTestCloud(healthTimeFactor = 1): Promise<TestCloud> {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-cloud-'));
  const incidents: string[] = [];
  const news = new EventEmitter();
  const run = new LocalCloudRun({
    deploymentFile: join(ROOT, 'deployments/local.yaml'),
    stateDirectory: directory,
    installDirectory: INSTALLATION,
    ports: 'free',
    fresh: false,
    healthTimeFactor,
    onStep: () => () => {},
    onIncident(what) {
      incidents.push(what);
      news.emit('incident');
    },
  });
  const cloud = await run.start();
  return {
    cloud,
    api: (region) => ({ url: cloud.apiUrl(region), region, credentials: cloud.credentials }),
    slot: (name) => cloud.slots.find((slot) => slot.name === name) as RunningSlot,
    async untilIncident(pattern) {
      while (!incidents.some((what) => pattern.test(what))) await once(news, 'incident');
    },
    async stop() {
      await run.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
