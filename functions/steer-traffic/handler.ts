/** Lambda that runs every minute, and when a slot's state has changed. What woke it does not matter: a run looks at all. */
import { documentClient, IMPATIENT, route53Client } from '../shared/aws-clients.ts';
import { createLogger, createMetrics } from '../shared/observability.ts';
import { SERVICE_NAME } from './constants.ts';
import { readSteeringEnvironment } from './environment.ts';
import { publishRun } from './run-metrics.ts';
import { steerTraffic } from './steer-traffic.ts';

const environment = readSteeringEnvironment();
const metrics = createMetrics(SERVICE_NAME);
const dependencies = {
  route53: route53Client(),
  table: documentClient(IMPATIENT),
  logger: createLogger(SERVICE_NAME),
};

export const handler = async (): Promise<void> => {
  publishRun(metrics, await steerTraffic(dependencies, environment, Date.now()));
};
