/** Reading and copying recordings in any region's bucket, by name alone: regions hold no references to each other. */
import { Stack } from 'aws-cdk-lib';
import { type Conditions, type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { regionPrefix } from '../../core/keys.ts';
import { recordingsBucketName } from '../../core/names.ts';

/** Alias of each region's key for recordings. */
export const recordingsKeyAlias = ({ name }: Deployment): string => `alias/${name}-recordings`;

/** Lets `grantee` read objects below `keyPattern` in the buckets of `regions`, and nothing else. */
export function grantReadRecordings(
  scope: Construct,
  grantee: IGrantable,
  deployment: Deployment,
  regions: string[],
  keyPattern: string,
): void {
  const access = { s3: ['s3:GetObject'], kms: ['kms:Decrypt'] };
  grantAccess(scope, grantee, deployment, regions, keyPattern, access);
}

/** ARN of the alias of a region's key for recordings, which stands for the key itself. */
export const recordingsKeyAliasArn = (scope: Construct, deployment: Deployment, region: string): string =>
  `arn:${Stack.of(scope).partition}:kms:${region}:${deployment.account}:${recordingsKeyAlias(deployment)}`;

/** Lets `grantee` write copies below `keyPattern` into the buckets of `regions`; delete nothing. */
export function grantWriteCopies(
  scope: Construct,
  grantee: IGrantable,
  deployment: Deployment,
  regions: string[],
  keyPattern: string,
): void {
  const access = { s3: ['s3:PutObject', 's3:AbortMultipartUpload'], kms: ['kms:GenerateDataKey'] };
  grantAccess(scope, grantee, deployment, regions, keyPattern, access);
}

/**
 * Lets a recorder write recordings of its region, and never read one back. An upload in parts under SSE-KMS needs `kms:Decrypt`,
 * which S3 asks for in the recorder's name: through S3 only, where the recorder may read no object.
 */
export function grantRecord(
  scope: Construct,
  grantee: IGrantable,
  deployment: Deployment,
  region: string,
): void {
  const access = {
    s3: [
      's3:PutObject',
      's3:AbortMultipartUpload',
      's3:ListMultipartUploadParts',
      ...(deployment.retention.objectLock ? ['s3:PutObjectRetention'] : []),
    ],
    kms: ['kms:GenerateDataKey', 'kms:Decrypt'],
  };
  const throughS3 = { StringEquals: { 'kms:ViaService': `s3.${region}.amazonaws.com` } };
  grantAccess(scope, grantee, deployment, [region], `${regionPrefix(region)}*`, access, throughS3);
}

/** Actions on the objects below `keyPattern`, and on the keys that they are encrypted with. */
function grantAccess(
  scope: Construct,
  grantee: IGrantable,
  deployment: Deployment,
  regions: string[],
  keyPattern: string,
  actions: { s3: string[]; kms: string[] },
  keyConditions: Conditions = {},
): void {
  const { partition } = Stack.of(scope);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: actions.s3,
      resources: regions.map(
        (region) => `arn:${partition}:s3:::${recordingsBucketName(deployment, region)}/${keyPattern}`,
      ),
    }),
  );
  // The keys of other regions have no name that is known here but their alias.
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: actions.kms,
      resources: regions.map((region) => `arn:${partition}:kms:${region}:${deployment.account}:key/*`),
      conditions: {
        'ForAnyValue:StringEquals': { 'kms:ResourceAliases': recordingsKeyAlias(deployment) },
        ...keyConditions,
      },
    }),
  );
}

/** Lets `grantee` learn that an object is missing: to others, S3 answers 403, as if it were forbidden. */
export function grantTellMissing(
  scope: Construct,
  grantee: IGrantable,
  deployment: Deployment,
  regions: string[],
): void {
  const { partition } = Stack.of(scope);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['s3:ListBucket'],
      resources: regions.map((region) => `arn:${partition}:s3:::${recordingsBucketName(deployment, region)}`),
    }),
  );
}

/** Narrows a statement about the index table to partitions; `*` stands for anything. */
export const leadingKeys = (...patterns: string[]): Record<string, unknown> => ({
  'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': patterns },
});
