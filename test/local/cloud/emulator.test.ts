import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetState, portOfState } from '../../../local/cloud/emulator.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-ha-emulator-state-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the emulator's state", () => {
  it('belongs to a port', () => {
    expect(portOfState(directory)).toBeUndefined();
    writeFileSync(join(directory, 'port'), '4567');
    expect(portOfState(directory)).toBe(4567);
  });

  it('is forgotten as a whole, but not what was installed', () => {
    for (const kept of ['state', 's3', 'venv-1']) mkdirSync(join(directory, kept));
    writeFileSync(join(directory, 'port'), '4567');
    forgetState(directory);
    expect(readdirSync(directory)).toEqual(['venv-1']);
    expect(portOfState(directory)).toBeUndefined();
  });
});
