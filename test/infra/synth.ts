/** The stages of `deployments/example.yaml`, synthesized in this process as `cdk synth` would. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { type Deployment, parseDeployment } from '../../core/deployment.ts';
import { RegionStage } from '../../infra/stages/region-stage.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface Resource {
  Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: a template is outside data, and every test asserts what it reads
  Properties: Record<string, any>;
  DependsOn?: string[];
  DeletionPolicy?: string;
  UpdateReplacePolicy?: string;
}

/** The stacks of every region. */
export const STACKS = [
  'storage',
  'index',
  'replication',
  'retention',
  'api',
  'steering',
  'dns',
  'edge',
  'network',
  'recorders',
  'assurance',
  'monitoring',
] as const;
export type StackName = (typeof STACKS)[number];

export interface SynthesizedRegion {
  assembly: CloudAssembly;
  template: (stack: StackName) => Template;
}

export interface Synthesized {
  app: App;
  deployment: Deployment;
  /** The cloud assembly's folder, with the assets. */
  outdir: string;
  regions: Record<string, SynthesizedRegion>;
  remove: () => void;
}

/** @param change what is to be other than in the example */
export function synthesizeExample(change: (example: Deployment) => Deployment = (same) => same): Synthesized {
  const file = join(ROOT, 'deployments/example.yaml');
  const deployment = change(parseDeployment(readFileSync(file, 'utf8'), file));
  const { context } = JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8'));
  const outdir = mkdtempSync(join(tmpdir(), 'siprec-ha-synth-'));
  const app = new App({ context, outdir });
  const stages = deployment.regions.map(
    (region) => new RegionStage(app, region.name, { deployment, region }),
  );
  const regions = stages.map((stage) => {
    const assembly = stage.synth();
    const template = (stack: string): Template => {
      const found = assembly.stacks.find(({ stackName }) => stackName === `${deployment.name}-${stack}`);
      if (!found) throw new Error(`there is no stack ${stack} in ${stage.stageName}`);
      return Template.fromJSON(found.template);
    };
    return [stage.stageName, { assembly, template }] as const;
  });
  return {
    app,
    deployment,
    outdir,
    regions: Object.fromEntries(regions),
    remove: () => rmSync(outdir, { recursive: true, force: true }),
  };
}

/** All resources of a type, by logical id. */
export const resourcesOf = (template: Template, type: string): Record<string, Resource> =>
  template.findResources(type) as Record<string, Resource>;

/** The only resource of a type whose logical id begins so. */
export function theResource(template: Template, type: string, idPrefix = ''): [id: string, Resource] {
  const found = Object.entries(resourcesOf(template, type)).filter(([id]) => id.startsWith(idPrefix));
  if (found.length !== 1)
    throw new Error(`${found.length} resources ${type} ${idPrefix}: ${found.map(([id]) => id).join(', ')}`);
  return found[0] as [string, Resource];
}
