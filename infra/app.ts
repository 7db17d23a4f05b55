/**
 * The CDK app: one stage per region of the deployment file.
 *
 * The file is `deployments/example.yaml`, or the one named by `-c deployment=<path>`. Account and regions come from
 * it, so that `cdk synth` needs neither network nor credentials.
 */
import { readFileSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import { DeploymentFileError, readDeployment } from '../core/deployment.ts';
import { TooManyTenantsError } from './constructs/retention-environment.ts';
import { TooManySlotsError } from './stacks/steering-stack.ts';
import { RegionStage } from './stages/region-stage.ts';

const app = new App();
const file = String(app.node.tryGetContext('deployment') ?? 'deployments/example.yaml');
try {
  const deployment = readDeployment(file, readFileSync, 'with -c deployment=<path>');
  for (const region of deployment.regions) new RegionStage(app, region.name, { deployment, region });
} catch (error) {
  const isOfTheFile =
    error instanceof DeploymentFileError ||
    error instanceof TooManySlotsError ||
    error instanceof TooManyTenantsError;
  if (!isOfTheFile) throw error;
  console.error(error.message);
  process.exit(1);
}
