/** Lambda behind the REST API. */
import type { APIGatewayProxyEvent, APIGatewayProxyResult, Context } from 'aws-lambda';
import { documentClient, s3Client } from '../shared/aws-clients.ts';
import { INDEX_TABLE, requireEnvironment } from '../shared/environment.ts';
import { createLogger } from '../shared/observability.ts';
import { SERVICE_NAME } from './constants.ts';
import { createRouter } from './routes.ts';

const router = createRouter({
  index: { table: documentClient(), tableName: requireEnvironment(INDEX_TABLE) },
  s3For: s3Client,
  region: requireEnvironment('AWS_REGION'),
  logger: createLogger(SERVICE_NAME),
});

export const handler = (event: APIGatewayProxyEvent, context: Context): Promise<APIGatewayProxyResult> =>
  router.resolve(event, context);
