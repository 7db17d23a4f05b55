/** Asking for copies. */
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';

/** Lets `grantee` put jobs into the copy queue, and do nothing else with it. */
export const grantSendJobs = (grantee: IGrantable, copyJobs: IQueue): void => {
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [copyJobs.queueArn] }),
  );
};
