/** Names of AWS resources that more than one stack or program must know. They follow from the deployment file alone. */
import type { Deployment } from './deployment.ts';

/** Bucket names are global in S3, so account and region are in them (at most 63 characters: 20 + 12 + 12 + 14). */
export const recordingsBucketName = ({ name, account }: Deployment, region: string): string =>
  `${name}-recordings-${account}-${region}`;

/** Where S3 writes who has asked for which object of the recordings (at most 60 characters). */
export const accessLogsBucketName = ({ name, account }: Deployment, region: string): string =>
  `${name}-access-logs-${account}-${region}`;

/** The same in every region: a global table has one name. */
export const indexTableName = ({ name }: Deployment): string => `${name}-index`;

/** The function of `functions/<folder>/`, of the region that it is in. */
export const functionName = ({ name }: Deployment, folder: string): string => `${name}-${folder}`;

/** Queues before functions, each with one for what its function could not do in so many tries. */
export const QUEUES = ['manifest-events', 'copy-jobs'] as const;
export type QueueId = (typeof QUEUES)[number];
export const queueName = ({ name }: Deployment, queue: QueueId): string => `${name}-${queue}`;
export const deadLetterQueueName = (deployment: Deployment, queue: QueueId): string =>
  `${queueName(deployment, queue)}-dead`;

/** The query API of a region. */
export const apiName = ({ name }: Deployment): string => `${name}-query`;
export const API_STAGE = 'v1';

/** Log of what the firewall of the API has refused; AWS wants names of such logs to begin like this. */
export const firewallLogGroupName = ({ name }: Deployment): string => `aws-waf-logs-${name}-query`;

/** The region that creates the global index table; the others are its replicas. */
export const indexHomeRegion = ({ regions }: Deployment): string => (regions[0] as { name: string }).name;

/** The region that creates the hosted zone, where the deployment has its own, and the records that are no slot's. */
export const zoneHomeRegion = indexHomeRegion;

/** The role of a region's expire-recordings; roles are global in an account. The only one that may delete recordings. */
export const expireRoleName = ({ name }: Deployment, region: string): string =>
  `${name}-expire-recordings-${region}`;

/** Tags with the deployment's and the slot's name on what belongs to a slot. */
export const DEPLOYMENT_TAG = 'siprec-ha:deployment';
export const SLOT_TAG = 'siprec-ha:slot';

/** Of everything that belongs to a slot, as CloudFormation writes tags. */
export const slotTags = ({ name }: Deployment, slot: string): { key: string; value: string }[] => [
  { key: 'Name', value: `${name} ${slot}` },
  { key: DEPLOYMENT_TAG, value: name },
  { key: SLOT_TAG, value: slot },
];

/** ECS cluster of a region's recorders. */
export const recordersClusterName = ({ name }: Deployment): string => `${name}-recorders`;

/** ECS service, Auto Scaling group and task family of a slot. */
export const slotResourceName = ({ name }: Deployment, slot: string): string => `${name}-${slot}`;

/** Log groups of what runs on a slot's host; streams begin with the slot's name. */
export const HOST_LOGS = ['recorder', 'sip-server', 'host'] as const;
export const hostLogGroupName = ({ name }: Deployment, of: (typeof HOST_LOGS)[number]): string =>
  `/${name}/${of}`;

/** Secrets Manager's name of certificate and key for SIP over TLS, which the operator puts there. */
export const tlsSecretName = ({ name }: Deployment): string => `${name}/sip-tls`;

/** Namespace of metrics of whom nobody has told its deployment. */
export const METRICS_NAMESPACE = 'SiprecHa';

/** Each deployment has its own: several may share an account and a region, and their metrics must not add up. */
export const metricsNamespace = ({ name }: Pick<Deployment, 'name'>): string =>
  `${METRICS_NAMESPACE}/${name}`;
