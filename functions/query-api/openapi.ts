/** The OpenAPI 3.1 document of the API, made from the table of operations. */
import { z } from 'zod';
import { COMPONENTS } from './answers.ts';
import { type Operation, type OperationId, operationList, problemsOf } from './operations.ts';
import { PROBLEM_TITLES, PROBLEM_TYPE, problemSchema } from './problems.ts';

type Json = Record<string, unknown>;
export type OpenApiDocument = { openapi: string; paths: Record<string, Json> } & Json;

const named = z.registry<{ id: string }>();
for (const [id, schema] of Object.entries(COMPONENTS)) named.add(schema, { id });

const reference = (id: string): string => `#/components/schemas/${id}`;

export function openApiDocument(): OpenApiDocument {
  const operations = operationList();
  const paths = Map.groupBy(operations, ({ path }) => path);
  return {
    openapi: '3.1.1',
    info: {
      title: 'siprec-ha query API',
      version: '1',
      description: 'Recordings, calls and the state of the deployment. See docs/api.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Relative to this document's own address.
    servers: [{ url: '.' }],
    security: [{ sigv4: [] }, { oidc: [] }],
    paths: Object.fromEntries(
      [...paths].map(([path, ofPath]) => [
        path,
        Object.fromEntries(ofPath.map((operation) => [operation.method.toLowerCase(), describe(operation)])),
      ]),
    ),
    components: {
      securitySchemes: {
        sigv4: {
          type: 'apiKey',
          in: 'header',
          name: 'Authorization',
          description: 'AWS Signature Version 4, service execute-api (deployments with `api.auth: iam`)',
          'x-amazon-apigateway-authtype': 'awsSigv4',
        },
        oidc: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: "A token of the deployment's OpenID provider (deployments with `api.auth: { oidc }`)",
        },
      },
      schemas: componentSchemas(),
    },
  };
}

function describe(operation: Operation & { operationId: OperationId }): Json {
  const { operationId, summary, notes, access, pathParameters, query, body, answers } = operation;
  return {
    operationId,
    summary,
    ...(access === 'public' && { security: [] }),
    description: [accessText(access), notes].filter(Boolean).join(' '),
    parameters: [...parameters(pathParameters, 'path'), ...parameters(query, 'query')],
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: inline(body, 'input') } } },
    }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, content]) => [
          status,
          {
            description: summary,
            ...(Object.keys(content).length > 0 && {
              content: Object.fromEntries(
                Object.entries(content).map(([type, schema]) => [type, { schema: schemaOf(schema) }]),
              ),
            }),
          },
        ]),
      ),
      ...Object.fromEntries(
        problemsOf(operation).map((status) => [
          status,
          {
            description: PROBLEM_TITLES[status],
            content: { [PROBLEM_TYPE]: { schema: schemaOf(problemSchema) } },
          },
        ]),
      ),
    },
  };
}

function accessText(access: Operation['access']): string {
  if (access === 'public') return 'For everybody.';
  return access === 'caller' ? 'For everybody who has signed in.' : `Needs the role \`${access}\`.`;
}

function parameters(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const { properties = {}, required = [] } = inline(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }));
}

function schemaOf(schema: z.ZodType): Json {
  const id = named.get(schema)?.id;
  return id === undefined ? inline(schema, 'output') : { $ref: reference(id) };
}

function inline(schema: z.ZodType, io: 'input' | 'output'): Json {
  return withoutDialect(z.toJSONSchema(schema, { io, override: simplify }) as Json);
}

function componentSchemas(): Record<string, Json> {
  const { schemas } = z.toJSONSchema(named, { uri: reference, io: 'output', override: simplify });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [id, withoutDialect(schema as Json)]),
  );
}

/** OpenAPI 3.1 has the dialect of JSON Schema 2020-12 by itself. */
function withoutDialect({ $schema: _dialect, $id: _id, ...schema }: Json): Json {
  return schema;
}

/** A format says more than the pattern beside it. An integer in a query is text only on its way. */
function simplify({ jsonSchema }: { jsonSchema: Json }): void {
  if (jsonSchema.format !== undefined || jsonSchema.type === 'integer') delete jsonSchema.pattern;
}
