/**
 * The CDK app: one stage per region of the deployment file.
 *
 * The file is `deployments/example.yaml`, or the one named by `-c deployment=<path>`. Account and regions come from
 * it, so that `cdk synth` needs neither network nor credentials.
 */
import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { DeploymentFileError, parseDeployment } from '../core/deployment.ts';
import { TooManyTenantsError } from './constructs/retention-environment.ts';
import { TooManySlotsError } from './stacks/steering-stack.ts';
import { RegionStage } from './stages/region-stage.ts';

const app = new App();
const file = String(app.node.tryGetContext('deployment') ?? 'deployments/example.yaml');
try {
  const deployment = parseDeployment(readFileSync(file, 'utf8'), file);
  for (const region of deployment.regions) new RegionStage(app, region.name, { deployment, region });
} catch (error) {
  const code = (error as NodeJS.ErrnoException).code;
  const isOfTheFile =
    error instanceof DeploymentFileError ||
    error instanceof TooManySlotsError ||
    error instanceof TooManyTenantsError;
  if (!isOfTheFile && code === undefined) throw error;
  const message =
    code === 'ENOENT' ? `there is no deployment file ${file}: name one with -c deployment=<path>` : error;
  console.error(message instanceof Error ? message.message : message);
  process.exit(1);
}
