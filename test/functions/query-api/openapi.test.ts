import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiDocument } from '../../../functions/query-api/openapi.ts';
import { operationList } from '../../../functions/query-api/operations.ts';

const FILE = join(import.meta.dirname, '../../../docs/openapi.json');

/** All values of a key, at any depth. */
function valuesOf(key: string, value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    ...(name === key ? [inner] : []),
    ...valuesOf(key, inner),
  ]);
}

describe('the OpenAPI document', () => {
  const document = openApiDocument();

  it('in docs/ is that of the code: `npm run openapi` writes it', () => {
    expect(JSON.parse(readFileSync(FILE, 'utf8'))).toEqual(document);
  });

  it('has every operation once, with what it answers', () => {
    expect(valuesOf('operationId', document.paths).toSorted()).toEqual(
      operationList()
        .map(({ operationId }) => operationId)
        .toSorted(),
    );
    for (const { path, method, answers } of operationList()) {
      const described = document.paths[path]?.[method.toLowerCase()] as { responses: object };
      expect(Object.keys(described.responses)).toEqual(expect.arrayContaining(Object.keys(answers)));
    }
  });

  it('has every schema that it names', () => {
    const schemas = Object.keys((document.components as { schemas: object }).schemas);
    const names = new Set(valuesOf('$ref', document));
    expect(names.size).toBeGreaterThan(3);
    for (const name of names) expect(schemas.map((id) => `#/components/schemas/${id}`)).toContain(name);
  });

  it('has every parameter of every path', () => {
    for (const { path, method } of operationList()) {
      const described = document.paths[path]?.[method.toLowerCase()];
      const { parameters } = described as { parameters: { name: string; in: string }[] };
      const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => `{${name}}`);
      expect(inPath).toEqual(path.match(/\{\w+\}/g) ?? []);
    }
  });
});
