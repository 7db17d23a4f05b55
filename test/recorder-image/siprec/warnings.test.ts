import { readdirSync, readFileSync } from 'node:fs';
import { METADATA_WARNINGS } from '../../../recorder-image/src/siprec/warnings.ts';

const SOURCES = new URL('../../../recorder-image/src/siprec/', import.meta.url);

describe('METADATA_WARNINGS', () => {
  const sources = readdirSync(SOURCES)
    .filter((file) => file !== 'warnings.ts')
    .map((file) => readFileSync(new URL(file, SOURCES), 'utf8'))
    .join('\n');

  it.each(Object.entries(METADATA_WARNINGS))('%s is in use, and explained', (code, meaning) => {
    expect(code).toMatch(/^[a-z]+(?:-[a-z]+)+$/);
    expect(sources).toContain(`'${code}'`);
    expect(meaning).toMatch(/^[A-Z].*\.$/);
  });
});
