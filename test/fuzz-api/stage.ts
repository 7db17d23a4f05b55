/** The deployed API with recordings of two tenants and a caller of each, for the fuzzer. */

import { Sha256 } from '@aws-crypto/sha256-js';
import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { SignatureV4 } from '@smithy/signature-v4';
import { parse, stringify } from 'yaml';
import { ROLES } from '../../core/access.ts';
import { entryItems } from '../../core/index-entries.ts';
import { homeCopyItem, recordingItem } from '../../core/index-items.ts';
import type { Manifest } from '../../core/manifest.ts';
import { indexTableName, recordingsBucketName } from '../../core/names.ts';
import type { ApiClientOptions } from '../../local/api-client.ts';
import { deployedApiId } from '../../local/cloud/deploy.ts';
import { type DeployedStacks, deployForTest } from '../e2e/deployed.ts';
import { ACCOUNT, type TestEmulator } from '../helpers/emulator.ts';
import { recordingIdAt } from '../helpers/manifest.ts';
import { bytesOf, storeRecording } from '../helpers/stored-recording.ts';

const REGION = 'us-east-1';
export const TENANTS = ['acme', 'globex'] as const;
export type Tenant = (typeof TENANTS)[number];
const RECORDINGS = 12;

export interface FuzzStage {
  api: (tenant: Tenant) => ApiClientOptions;
  manifests: Record<Tenant, Manifest[]>;
  stop: () => Promise<void>;
}

export async function startFuzzStage(): Promise<FuzzStage> {
  const stacks = await deployForTest(withCallers);
  try {
    const { emulator, target } = stacks;
    const url = `${emulator.endpoint}/restapis/${await deployedApiId(target, REGION)}/v1/_user_request_`;
    const keys = { acme: await createUser(emulator, 'acme'), globex: await createUser(emulator, 'globex') };
    const manifests = { acme: await seed(stacks, 'acme'), globex: await seed(stacks, 'globex') };
    return {
      api: (tenant) => ({ url, region: REGION, credentials: keys[tenant] }),
      manifests,
      stop: stacks.stop,
    };
  } catch (error) {
    await stacks.stop();
    throw error;
  }
}

/** One region is enough, and is deployed in half the time. */
function withCallers(text: string): string {
  const deployment = parse(text);
  const callers = TENANTS.map((tenant) => ({
    principal: `arn:aws:iam::${ACCOUNT}:user/${tenant}`,
    tenants: [tenant],
    roles: ROLES,
  }));
  return stringify({
    ...deployment,
    regions: deployment.regions.slice(0, 1),
    replication: [],
    api: { auth: 'iam', callers },
  });
}

/** Texts that are in a tenant's recordings, and in nothing else. */
export const marksOf = (tenant: Tenant, manifests: readonly Manifest[]): string[] => [
  `"${tenant}"`,
  `${tenant}-`,
  ...manifests.map(({ recordingId }) => recordingId),
];

/** Parties, call and recorder are common to both tenants: what is another's is only told by the tenant. */
async function seed({ emulator, deployment }: DeployedStacks, tenant: Tenant): Promise<Manifest[]> {
  const bucket = recordingsBucketName(deployment, REGION);
  const TableName = indexTableName(deployment);
  const table = emulator.documents(REGION);
  const manifests: Manifest[] = [];
  for (let at = 0; at < RECORDINGS; at += 1) {
    const startedAt = new Date(Date.now() - 3_600_000 - at * 60_000).toISOString();
    const { manifest } = await storeRecording(
      emulator.s3(REGION),
      bucket,
      { audio: bytesOf(2_000, at) },
      {
        startedAt,
        recordingId: recordingIdAt(startedAt),
        tenant,
        status: at % 4 === 0 ? 'partial' : 'complete',
        statusReasons: at % 4 === 0 ? [`${tenant}-reason`] : [],
        session: {
          sipCallId: `${tenant}-${at}@198.51.100.10`,
          source: 'broadworks-east',
          sourceAddress: '198.51.100.10',
          endedBy: 'bye',
        },
        call: { callId: `call-${at % 3}`, correlationIds: [`call-${at % 3}`, `${tenant}-sip-${at}`] },
        broadWorks: { serviceProviderId: tenant, groupId: 'sales', userId: 'alice@example.com' },
      },
    );
    const recording = recordingItem(manifest);
    const items = [homeCopyItem(manifest, bucket), ...entryItems(recording), recording];
    await table.send(
      new BatchWriteCommand({
        RequestItems: { [TableName]: items.map((Item) => ({ PutRequest: { Item } })) },
      }),
    );
    manifests.push(manifest);
  }
  return manifests;
}

/** By IAM's query API; for two calls no client of its own is worth installing. */
async function createUser(emulator: TestEmulator, name: string): Promise<ApiClientOptions['credentials']> {
  await callIam(emulator, { Action: 'CreateUser', UserName: name });
  const answer = await callIam(emulator, { Action: 'CreateAccessKey', UserName: name });
  const field = (tag: string) => new RegExp(`<${tag}>([^<]+)</${tag}>`).exec(answer)?.[1] ?? '';
  return { accessKeyId: field('AccessKeyId'), secretAccessKey: field('SecretAccessKey') };
}

async function callIam(
  { endpoint, credentials }: TestEmulator,
  parameters: Record<string, string>,
): Promise<string> {
  const { hostname, port, host, protocol } = new URL(endpoint);
  const body = new URLSearchParams({ ...parameters, Version: '2010-05-08' }).toString();
  const signer = new SignatureV4({ service: 'iam', region: REGION, credentials, sha256: Sha256 });
  const { headers } = await signer.sign({
    method: 'POST',
    protocol,
    hostname,
    port: Number(port),
    path: '/',
    headers: { host, 'content-type': 'application/x-www-form-urlencoded' },
    body,
  });
  const response = await fetch(endpoint, { method: 'POST', headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`IAM ${parameters.Action} answered ${response.status}: ${text}`);
  return text;
}
