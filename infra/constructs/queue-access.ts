/** Giving work to a queue. */
import { type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';

/** Lets `grantee` put messages into a queue, and do nothing else with it. */
export const grantSend = (grantee: IGrantable, queue: IQueue): void => {
  grantee.grantPrincipal.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [queue.queueArn] }),
  );
};
