/**
 * The way of a request: which operation it is, who asks, whether they may, what exactly they ask; then the operation's
 * handler. Whatever goes wrong is answered with a problem document.
 *
 * The table of operations is all the routing that there is. A router made for any program would have to be told it a
 * second time, and knows neither who may call what nor which methods a resource has.
 */
import type { Logger } from '@aws-lambda-powertools/logger';
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';
import type { z } from 'zod';
import { type Caller, hasRole, ROLES, type Role } from '../../core/access.ts';
import { type Operation, type OperationId, type Operations, operationList } from './operations.ts';
import { type RawParameters, readParameters } from './parameters.ts';
import { PROBLEM_TYPE, ProblemError } from './problems.ts';

/** A request that may be carried out. */
export interface ApiRequest<Id extends OperationId = OperationId> {
  caller: Caller;
  path: z.output<Operations[Id]['pathParameters']>;
  query: z.output<Operations[Id]['query']>;
  body: Operations[Id] extends { body: infer Body extends z.ZodType } ? z.output<Body> : undefined;
  now: Date;
}

export interface Answer {
  /** Default 200. */
  status?: number;
  /** JSON; no content when absent. */
  body?: object;
  /** Default `application/json`. */
  mediaType?: string;
  headers?: Record<string, string>;
}

/** What each operation does. @throws ProblemError */
export type Handlers = { [Id in OperationId]: (request: ApiRequest<Id>) => Promise<Answer> };

/** Who made a request. @throws ProblemError 401, or 403 for somebody who is known and may do nothing */
export type Authenticate = (event: APIGatewayProxyEvent) => Promise<Caller>;

export interface ApiDependencies {
  handlers: Handlers;
  authenticate: Authenticate;
  logger: Logger;
}

export type Api = (event: APIGatewayProxyEvent) => Promise<APIGatewayProxyResult>;

/** Of operations that anybody may call. */
const NOBODY: Caller = { id: 'nobody', tenants: [], roles: [] };

export function createApi({ handlers, authenticate, logger }: ApiDependencies): Api {
  return async (event) => {
    try {
      return toResult(await answer(event));
    } catch (error) {
      if (error instanceof ProblemError) {
        if (error.status >= 500) logger.error('request not answered', { error });
        return problemResult(error);
      }
      logger.error('request failed', { error: error as Error });
      return problemResult(new ProblemError(500, 'the request could not be carried out: try again'));
    }
  };

  async function answer(event: APIGatewayProxyEvent): Promise<Answer> {
    const found = findOperation(event.httpMethod, event.path);
    // What there is not is told only to those who have signed in.
    const isPublic = 'operation' in found && found.operation.access === 'public';
    const caller = isPublic ? NOBODY : await authenticate(event);
    if (!('operation' in found)) throw noSuchOperation(found);
    const { operation } = found;
    requireAccess(caller, operation.access);
    const request = {
      caller,
      path: readParameters(operation.pathParameters, decodeSegments(found.segments)),
      query: readParameters(operation.query, event.multiValueQueryStringParameters ?? {}),
      body: operation.body && readBody(operation.body, event),
      now: new Date(),
    };
    // Which handler belongs to which request is what the types of `Handlers` say, and TypeScript cannot follow through a union.
    return (handlers[operation.operationId] as (request: unknown) => Promise<Answer>)(request);
  }
}

interface Match {
  operation: Operation & { operationId: OperationId };
  /** Parameters of the path, as they were sent. */
  segments: Record<string, string>;
}

/** `methods`: those that the resource has; none where there is no such resource. */
interface Unmatched {
  methods: string[];
}

const parameterCount = ({ path }: Operation): number => path.split('{').length;

/** A static path before one with parameters that would fit it too. */
const ROUTES = operationList()
  .map((operation) => ({ operation, pattern: patternOf(operation.path) }))
  .toSorted((one, other) => parameterCount(one.operation) - parameterCount(other.operation));

function findOperation(method: string, path: string): Match | Unmatched {
  const fitting = ROUTES.flatMap(({ operation, pattern }) => {
    const match = pattern.exec(path);
    return match ? [{ operation, segments: { ...match.groups } }] : [];
  });
  return (
    fitting.find(({ operation }) => operation.method === method) ?? {
      methods: [...new Set(fitting.map(({ operation }) => operation.method))],
    }
  );
}

function patternOf(path: string): RegExp {
  const source = path.replaceAll('.', '\\.').replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return new RegExp(`^${source}/?$`);
}

function noSuchOperation({ methods }: Unmatched): ProblemError {
  if (methods.length === 0)
    return new ProblemError(404, 'there is no such resource: see /openapi.json for those that there are');
  const allow = methods.join(', ');
  return new ProblemError(405, `this resource takes ${allow} and nothing else`, { allow });
}

/** @throws ProblemError 403 naming the role that is missing */
export function requireRole(caller: Caller, role: Role): void {
  if (!hasRole(caller, role))
    throw new ProblemError(403, `this needs the role ${role}, which ${caller.id} does not have`);
}

/** @throws ProblemError 403 */
function requireAccess(caller: Caller, access: Operation['access']): void {
  if (!isRole(access)) return;
  requireRole(caller, access);
  if (access !== 'operate' && caller.tenants.length === 0)
    throw new ProblemError(403, `${caller.id} has no tenant, and sees no recordings`);
}

const isRole = (access: string): access is Role => (ROLES as readonly string[]).includes(access);

function decodeSegments(segments: Record<string, string>): RawParameters {
  try {
    return Object.fromEntries(
      Object.entries(segments).map(([name, segment]) => [name, [decodeURIComponent(segment)]]),
    );
  } catch {
    throw new ProblemError(400, 'the path is not valid: write `%` as `%25` (RFC 3986 2.1)');
  }
}

const JSON_BODY = /^application\/json\s*(;|$)/i;

/** @throws ProblemError 415, 400 */
function readBody(schema: z.ZodType, { headers, body, isBase64Encoded }: APIGatewayProxyEvent): unknown {
  const type = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  if (!type || !JSON_BODY.test(type))
    throw new ProblemError(415, `content-type ${type ?? 'is missing'}: send application/json`, {
      accept: 'application/json',
    });
  let json: unknown;
  try {
    json = JSON.parse(isBase64Encoded ? Buffer.from(body ?? '', 'base64').toString() : (body ?? ''));
  } catch {
    throw new ProblemError(400, 'the body is not JSON');
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  throw new ProblemError(400, issues.join('; '));
}

const problemResult = (error: ProblemError): APIGatewayProxyResult =>
  toResult({
    status: error.status,
    body: error.toProblem(),
    mediaType: PROBLEM_TYPE,
    headers: error.headers,
  });

/** Answers are somebody's recordings, and addresses that are good for minutes: nobody between may keep them. */
function toResult({
  status = 200,
  body,
  mediaType = 'application/json',
  headers,
}: Answer): APIGatewayProxyResult {
  return {
    statusCode: status,
    headers: { ...headers, 'cache-control': 'no-store', ...(body && { 'content-type': mediaType }) },
    body: body ? JSON.stringify(body) : '',
  };
}
