/** Lambda behind the REST API. */
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';
import { z } from 'zod';
import { apiSchema } from '../../core/api-auth.ts';
import { replicationPairSchema } from '../../core/replication-report.ts';
import { retentionSchema } from '../../core/retention.ts';
import { documentClient, s3Client } from '../shared/aws-clients.ts';
import {
  FLEET_TABLE,
  INDEX_TABLE,
  RECORDING_BUCKETS,
  REPLICATION_PAIRS,
  RETENTION,
  requireEnvironment,
  requireJson,
} from '../shared/environment.ts';
import { createLogger } from '../shared/observability.ts';
import { createApi } from './api.ts';
import { createAuthenticator } from './authenticate.ts';
import { API_AUTH, RECORDINGS_BUCKET, SERVICE_NAME, SLOTS_BY_ZONE } from './constants.ts';
import { slotsByZoneSchema } from './fleet.ts';
import { createHandlers } from './handlers.ts';
import { IssuerKeys } from './issuer-keys.ts';

const logger = createLogger(SERVICE_NAME);
const region = requireEnvironment('AWS_REGION');
const table = documentClient();
const index = { table, tableName: requireEnvironment(INDEX_TABLE) };

const api = createApi({
  handlers: createHandlers({
    index,
    s3For: s3Client,
    region,
    regions: Object.keys(requireJson(RECORDING_BUCKETS, z.record(z.string(), z.string()))),
    retention: requireJson(RETENTION, retentionSchema),
    bucket: requireEnvironment(RECORDINGS_BUCKET),
    fleet: {
      table,
      tableName: requireEnvironment(FLEET_TABLE),
      slotsByZone: requireJson(SLOTS_BY_ZONE, slotsByZoneSchema),
    },
    replicationPairs: requireJson(REPLICATION_PAIRS, z.array(replicationPairSchema)),
    logger,
  }),
  authenticate: createAuthenticator(
    requireJson(API_AUTH, apiSchema),
    (issuer) => new IssuerKeys({ issuer, index, region, logger }),
  ),
  logger,
});

export const handler = (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> => api(event);
