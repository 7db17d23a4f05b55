/** Lambda that runs every five minutes. */
import { z } from 'zod';
import { documentClient } from '../shared/aws-clients.ts';
import { FLEET_TABLE, INDEX_TABLE, requireEnvironment, requireJson } from '../shared/environment.ts';
import { createLogger, createMetrics } from '../shared/observability.ts';
import { assureRecordings } from './assure-recordings.ts';
import { SERVICE_NAME, SLOTS } from './constants.ts';
import { publishRun } from './run-metrics.ts';

const logger = createLogger(SERVICE_NAME);
const metrics = createMetrics(SERVICE_NAME);
const table = documentClient();
const dependencies = {
  fleet: { table, tableName: requireEnvironment(FLEET_TABLE) },
  index: { table, tableName: requireEnvironment(INDEX_TABLE) },
  logger,
};
const slots = requireJson(SLOTS, z.array(z.string()));

export const handler = async (): Promise<void> => {
  const run = await assureRecordings(dependencies, slots, new Date());
  logger.info('assurance', { missing: Object.fromEntries(run.missing), open: run.open });
  publishRun(metrics, run);
};
