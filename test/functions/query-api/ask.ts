/** Requests to the API as API Gateway hands them to the function. Every answer must be one that the table of operations has. */
import { Logger } from '@aws-lambda-powertools/logger';
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';
import { type Caller, ROLES } from '../../../core/access.ts';
import { createApi } from '../../../functions/query-api/api.ts';
import { createHandlers, type HandlerDependencies } from '../../../functions/query-api/handlers.ts';
import { type Operation, operationList, problemsOf } from '../../../functions/query-api/operations.ts';
import { PROBLEM_TYPE, problemSchema } from '../../../functions/query-api/problems.ts';

export const SILENT = new Logger({ logLevel: 'SILENT' });

export const EVERYBODY: Caller = { id: 'test', tenants: 'all', roles: ROLES };

export interface Asked {
  method?: string;
  query?: Record<string, string | string[]>;
  headers?: Record<string, string>;
  body?: string;
  caller?: Caller;
}

export interface Answered {
  status: number;
  type: string | undefined;
  headers: Record<string, unknown>;
  body: Record<string, unknown>;
}

export function proxyEvent(path: string, { method = 'GET', query = {}, headers = {}, body }: Asked = {}) {
  return {
    resource: '/{proxy+}',
    path,
    httpMethod: method,
    headers: { Host: 'api.example.com', ...headers },
    multiValueQueryStringParameters: Object.fromEntries(
      Object.entries(query).map(([name, value]) => [name, [value].flat()]),
    ),
    body: body ?? null,
    isBase64Encoded: false,
    requestContext: { httpMethod: method, path, stage: 'v1', identity: {} },
  } as unknown as APIGatewayProxyEvent;
}

export async function ask(
  dependencies: HandlerDependencies,
  path: string,
  asked: Asked = {},
): Promise<Answered> {
  const api = createApi({
    handlers: createHandlers(dependencies),
    authenticate: async () => asked.caller ?? EVERYBODY,
    logger: SILENT,
  });
  return checked(path, asked.method ?? 'GET', await api(proxyEvent(path, asked)));
}

/** An answer that is documented, with a body that is what the documentation says, to the last field. */
export function checked(path: string, method: string, result: APIGatewayProxyResult): Answered {
  const { statusCode: status, headers = {} } = result;
  const type = headers['content-type'] as string | undefined;
  const body = result.body ? JSON.parse(result.body) : {};
  if (type === PROBLEM_TYPE) {
    expect(problemSchema.parse(body)).toEqual(body);
    expect(body.status).toBe(status);
  }
  const operation = operationList().find(
    (one) =>
      one.method === method && new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]+')}/?$`).test(path),
  );
  if (operation) expectDocumented(operation, status, type, body);
  expect(headers['cache-control']).toBe('no-store');
  return { status, type, headers, body };
}

function expectDocumented(
  operation: Operation,
  status: number,
  type: string | undefined,
  body: unknown,
): void {
  if (type === PROBLEM_TYPE) {
    expect(problemsOf(operation)).toContain(status);
    return;
  }
  const content = operation.answers[status];
  expect({ status, documented: Boolean(content) }).toEqual({ status, documented: true });
  if (type === undefined) {
    expect(content).toEqual({});
    return;
  }
  const schema = content?.[type];
  expect({ type, documented: Boolean(schema) }).toEqual({ type, documented: true });
  expect(schema?.parse(body)).toEqual(body);
}
