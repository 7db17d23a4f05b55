/** A Lambda function of `functions/<name>/`, bundled by esbuild into one ES module. */
import { join } from 'node:path';
import { AssetHashType, type Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Architecture, Code, Function as LambdaFunction, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { functionName, metricsNamespace } from '../../core/names.ts';
import { METRICS_NAMESPACE_VARIABLE } from '../../functions/shared/environment.ts';
import { bundleFunction } from './function-bundle.ts';
import { functionRole } from './function-role.ts';

const FUNCTIONS = join(import.meta.dirname, '../../functions');

export interface NodeFunctionProps {
  deployment: Deployment;
  /** Folder below `functions/` with its `handler.ts`. */
  name: string;
  environment: Record<string, string>;
  timeout: Duration;
  /** MiB; CPU comes in proportion (1,769 MiB = one vCPU). */
  memorySize: number;
  /** Runs at once; as many as the account allows when absent. */
  reservedConcurrentExecutions?: number;
  /** Of its role, for those who have to know it; CloudFormation's choice when absent. */
  roleName?: string;
}

export class NodeFunction extends LambdaFunction {
  constructor(
    scope: Construct,
    id: string,
    { deployment, name, environment, roleName, ...props }: NodeFunctionProps,
  ) {
    const logGroup = new LogGroup(scope, `${id}-logs`, {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    super(scope, id, {
      ...props,
      // Known to alarms and operators without any reference to this stack.
      functionName: functionName(deployment, name),
      environment: { ...environment, [METRICS_NAMESPACE_VARIABLE]: metricsNamespace(deployment) },
      description: `siprec-ha ${name}`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: 'index.handler',
      code: code(name),
      tracing: Tracing.ACTIVE,
      logGroup,
      role: functionRole(scope, `${id}-role`, logGroup, roleName),
    });
  }
}

/** The code asset of a function. esbuild runs in this process; `NodejsFunction` would start npx for each function and region. */
const code = (name: string): Code =>
  Code.fromAsset(join(FUNCTIONS, name), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: Runtime.NODEJS_24_X.bundlingImage, // never used: the local bundler below does not fail over
      local: {
        tryBundle(outputDirectory) {
          bundleFunction(name, join(outputDirectory, 'index.mjs'));
          return true;
        },
      },
    },
  });
