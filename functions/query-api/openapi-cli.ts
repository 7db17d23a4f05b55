/** `npm run openapi`: writes the OpenAPI document to `docs/openapi.json`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiDocument } from './openapi.ts';

const FILE = join(import.meta.dirname, '../../docs/openapi.json');

writeFileSync(FILE, `${JSON.stringify(openApiDocument(), null, 2)}\n`);
