/** A Lambda function of `functions/<name>/`, bundled by esbuild into one ES module. */
import { join } from 'node:path';
import { AssetHashType, type Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function as LambdaFunction, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { buildSync } from 'esbuild';

const FUNCTIONS = join(import.meta.dirname, '../../functions');

export interface NodeFunctionProps {
  /** Folder below `functions/` with its `handler.ts`. */
  name: string;
  environment: Record<string, string>;
  timeout: Duration;
  /** MiB; CPU comes in proportion (1,769 MiB = one vCPU). */
  memorySize: number;
  /** Runs at once; as many as the account allows when absent. */
  reservedConcurrentExecutions?: number;
  /** With the rights to write logs; one of its own when absent. */
  role?: IRole;
}

export class NodeFunction extends LambdaFunction {
  constructor(scope: Construct, id: string, { name, ...props }: NodeFunctionProps) {
    super(scope, id, {
      ...props,
      description: `siprec-ha ${name}`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: 'index.handler',
      code: bundle(name),
      tracing: Tracing.ACTIVE,
      logGroup: new LogGroup(scope, `${id}-logs`, {
        retention: RetentionDays.THREE_MONTHS,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    });
  }
}

/**
 * The code asset of a function. The SDK is bundled too: the version tested is the version that runs.
 * esbuild runs in this process; `NodejsFunction` would start npx for each function and region.
 */
function bundle(name: string): Code {
  const folder = join(FUNCTIONS, name);
  return Code.fromAsset(folder, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: Runtime.NODEJS_24_X.bundlingImage, // never used: the local bundler below does not fail over
      local: {
        tryBundle(outputDirectory) {
          buildSync({
            entryPoints: [join(folder, 'handler.ts')],
            outfile: join(outputDirectory, 'index.mjs'),
            bundle: true,
            platform: 'node',
            target: 'node24',
            format: 'esm',
            minify: true,
            sourcemap: false,
            logLevel: 'warning',
            // Dependencies that are still CommonJS call `require` for Node's own modules.
            banner: {
              js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
            },
          });
          return true;
        },
      },
    },
  });
}
