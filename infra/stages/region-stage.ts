/** Everything of one region. Regions share nothing but names, so that a lost one blocks only its own deploys. */
import { Stage } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Deployment, DeploymentRegion } from '../../core/deployment.ts';
import { acknowledgeFindings } from '../acknowledged-findings.ts';
import { ApiStack } from '../stacks/api-stack.ts';
import { AssuranceStack } from '../stacks/assurance-stack.ts';
import { DnsStack } from '../stacks/dns-stack.ts';
import { EdgeStack } from '../stacks/edge-stack.ts';
import { IndexStack } from '../stacks/index-stack.ts';
import { MonitoringStack } from '../stacks/monitoring-stack.ts';
import { NetworkStack } from '../stacks/network-stack.ts';
import { RecordersStack } from '../stacks/recorders-stack.ts';
import { ReplicationStack } from '../stacks/replication-stack.ts';
import { RetentionStack } from '../stacks/retention-stack.ts';
import { SteeringStack } from '../stacks/steering-stack.ts';
import { StorageStack } from '../stacks/storage-stack.ts';

export interface RegionStageProps {
  deployment: Deployment;
  region: DeploymentRegion;
}

export class RegionStage extends Stage {
  constructor(scope: Construct, id: string, { deployment, region }: RegionStageProps) {
    super(scope, id, { env: { account: deployment.account, region: region.name } });
    acknowledgeFindings(this);
    const props = (stack: string) => ({ stackName: `${deployment.name}-${stack}`, deployment });
    const storage = new StorageStack(this, 'storage', props('storage'));
    const index = new IndexStack(this, 'index', { ...props('index'), storage });
    const { copyJobs, manifestEvents } = storage;
    if (copyJobs)
      new ReplicationStack(this, 'replication', {
        ...props('replication'),
        copyJobs,
        manifestEvents,
        table: index.table,
      });
    new RetentionStack(this, 'retention', { ...props('retention'), table: index.table });
    const { api } = new ApiStack(this, 'api', { ...props('api'), table: index.table });
    new SteeringStack(this, 'steering', props('steering'));
    const dns = new DnsStack(this, 'dns', props('dns'));
    new EdgeStack(this, 'edge', { ...props('edge'), api, zone: dns.zone });
    const network = new NetworkStack(this, 'network', { ...props('network'), region });
    new RecordersStack(this, 'recorders', { ...props('recorders'), network, dns });
    new AssuranceStack(this, 'assurance', props('assurance'));
    new MonitoringStack(this, 'monitoring', props('monitoring'));
  }
}
