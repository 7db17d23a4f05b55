/** The functions of a region, as the stacks have deployed them. */
import {
  type FunctionConfiguration,
  InvokeCommand,
  LambdaClient,
  paginateListEventSourceMappings,
  paginateListFunctions,
  UpdateEventSourceMappingCommand,
  UpdateFunctionConfigurationCommand,
  waitUntilFunctionUpdatedV2,
} from '@aws-sdk/client-lambda';
import type { EmulatedRegion } from '../../../local/cloud/steering-function.ts';
import { eventually } from '../../e2e/eventually.ts';

const UPDATE_WAIT = { maxWaitTime: 60, minDelay: 1, maxDelay: 1 };

export class DeployedFunctions {
  readonly #client: LambdaClient;
  readonly #functions: Map<string, FunctionConfiguration>;

  static async find(at: EmulatedRegion): Promise<DeployedFunctions> {
    const client = new LambdaClient(at);
    const functions = new Map<string, FunctionConfiguration>();
    for await (const { Functions = [] } of paginateListFunctions({ client }, {}))
      for (const one of Functions) functions.set(nameOf(one), one);
    return new DeployedFunctions(client, functions);
  }

  private constructor(client: LambdaClient, functions: Map<string, FunctionConfiguration>) {
    this.#client = client;
    this.#functions = functions;
  }

  get names(): string[] {
    return [...this.#functions.keys()].filter((name) => name !== '');
  }

  /** Value of an environment variable of a function. */
  variable(name: string, variable: string): string {
    const value = this.#function(name).Environment?.Variables?.[variable];
    if (value === undefined) throw new Error(`${name} has no ${variable}`);
    return value;
  }

  /** Sets environment variables besides those that it has, until it is deployed anew. */
  async setVariables(name: string, variables: Record<string, string>): Promise<void> {
    const known = this.#function(name);
    const { FunctionName } = known;
    const Environment = { Variables: { ...known.Environment?.Variables, ...variables } };
    await this.#client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment }));
    this.#functions.set(name, { ...known, Environment });
    await waitUntilFunctionUpdatedV2({ client: this.#client, ...UPDATE_WAIT }, { FunctionName });
  }

  /** Whether the function gets what is in its queue. */
  async setRunning(name: string, isRunning: boolean): Promise<void> {
    const { FunctionName } = this.#function(name);
    const client = this.#client;
    for await (const { EventSourceMappings = [] } of paginateListEventSourceMappings(
      { client },
      { FunctionName },
    ))
      for (const { UUID } of EventSourceMappings)
        await client.send(new UpdateEventSourceMappingCommand({ UUID, Enabled: isRunning }));
  }

  /**
   * Runs it once. One that may run only once at a time is waited for.
   * @returns the end of what it has written to its log
   * @throws Error with what the function threw
   */
  async invoke(name: string): Promise<string> {
    const { FunctionName } = this.#function(name);
    const { FunctionError, Payload, LogResult } = await eventually(`a run of ${name}`, async () => {
      try {
        return await this.#client.send(new InvokeCommand({ FunctionName, LogType: 'Tail' }));
      } catch (error) {
        if ((error as Error).name === 'TooManyRequestsException') return undefined;
        throw error;
      }
    });
    const log = Buffer.from(LogResult ?? '', 'base64').toString();
    if (FunctionError) throw new Error(`${name}: ${Buffer.from(Payload ?? []).toString()}\n${log}`);
    return log;
  }

  close(): void {
    this.#client.destroy();
  }

  #function(name: string): FunctionConfiguration {
    const found = this.#functions.get(name);
    if (!found) throw new Error(`there is no function ${name}`);
    return found;
  }
}

/** As its construct describes it (infra/constructs/node-function.ts); CloudFormation gives it a name of its own. */
const nameOf = ({ Description = '' }: FunctionConfiguration): string =>
  /^siprec-ha (\S+)$/.exec(Description)?.[1] ?? '';
