/** Sends the requests of `steer-traffic` to Route 53 through the gate, as the DNS server's are. */
import {
  type FunctionConfiguration,
  LambdaClient,
  paginateListFunctions,
  UpdateFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda';
import { LocalCloudError } from './errors.ts';

export interface EmulatedRegion {
  /** Of the emulator. */
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  region: string;
}

/**
 * Gives the function another address of Route 53, until it is deployed anew.
 * @throws LocalCloudError if the region has no such function
 */
export async function redirectRoute53(at: EmulatedRegion, route53Endpoint: string): Promise<void> {
  const client = new LambdaClient(at);
  try {
    const { FunctionName, Environment } = await steeringFunction(client, at.region);
    await client.send(
      new UpdateFunctionConfigurationCommand({
        FunctionName,
        // The SDK's own variable (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
        Environment: { Variables: { ...Environment?.Variables, AWS_ENDPOINT_URL_ROUTE_53: route53Endpoint } },
      }),
    );
  } finally {
    client.destroy();
  }
}

/** As its construct describes it (infra/constructs/node-function.ts); CloudFormation gives it a name of its own. */
const DESCRIPTION = 'siprec-ha steer-traffic';

async function steeringFunction(client: LambdaClient, region: string): Promise<FunctionConfiguration> {
  for await (const { Functions = [] } of paginateListFunctions({ client }, {}))
    for (const candidate of Functions) if (candidate.Description === DESCRIPTION) return candidate;
  throw new LocalCloudError(`${region} has no function that steers: start again with --fresh`);
}
