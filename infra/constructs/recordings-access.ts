/** Reading recordings in any region's bucket, by name alone: regions hold no references to each other. */
import { Stack } from 'aws-cdk-lib';
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
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
  const { partition } = Stack.of(scope);
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['s3:GetObject'],
      resources: regions.map(
        (region) => `arn:${partition}:s3:::${recordingsBucketName(deployment, region)}/${keyPattern}`,
      ),
    }),
  );
  // The keys of other regions have no name that is known here but their alias.
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({
      actions: ['kms:Decrypt'],
      resources: regions.map((region) => `arn:${partition}:kms:${region}:${deployment.account}:key/*`),
      conditions: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': recordingsKeyAlias(deployment) } },
    }),
  );
}
