/** The stacks of the local deployment in an emulator of their own, without recorders: for what functions do by themselves. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Deployment, parseDeployment } from '../../core/deployment.ts';
import { type DeployTarget, deployStacks } from '../../local/cloud/deploy.ts';
import { startTestEmulator, type TestEmulator } from '../helpers/emulator.ts';
import { ROOT } from './npm-start-child.ts';

const FILE = join(ROOT, 'deployments/local.yaml');

export interface DeployedStacks {
  deployment: Deployment;
  emulator: TestEmulator;
  target: DeployTarget;
  stop: () => Promise<void>;
}

/**
 * In `beforeAll`, with `CLOUD_START_TIMEOUT_MS`.
 * @param change what is to be other than in the local deployment's file
 */
export async function deployForTest(
  change: (text: string) => string = (same) => same,
): Promise<DeployedStacks> {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-deployed-'));
  const deploymentFile = join(directory, 'deployment.yaml');
  writeFileSync(deploymentFile, change(readFileSync(FILE, 'utf8')));
  const deployment = parseDeployment(readFileSync(deploymentFile, 'utf8'), deploymentFile);
  const emulator = await startTestEmulator();
  const stop = async (): Promise<void> => {
    await emulator.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  const { signal } = new AbortController();
  const target = { deployment, deploymentFile, endpoint: emulator.endpoint, directory, signal };
  try {
    await deployStacks(target);
  } catch (error) {
    await stop();
    throw error;
  }
  return { deployment, emulator, target, stop };
}
