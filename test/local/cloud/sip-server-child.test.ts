import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalCloudError } from '../../../local/cloud/errors.ts';
import { findDrachtio } from '../../../local/cloud/sip-server-child.ts';

let directory: string;
let drachtio: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-ha-drachtio-'));
  drachtio = join(directory, 'drachtio');
  writeFileSync(drachtio, '#!/bin/sh\n');
  chmodSync(drachtio, 0o755);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the drachtio-server to use', () => {
  it('is the one that DRACHTIO_SERVER names', () => {
    expect(findDrachtio({ DRACHTIO_SERVER: drachtio, PATH: '/nowhere' })).toBe(drachtio);
  });

  it('is otherwise the one on the PATH', () => {
    expect(findDrachtio({ PATH: `/nowhere:${directory}` })).toBe(drachtio);
  });

  it('is none when there is none, or what there is cannot be run', () => {
    expect(findDrachtio({ PATH: '/nowhere' })).toBeUndefined();
    expect(findDrachtio({})).toBeUndefined();
    chmodSync(drachtio, 0o644);
    expect(findDrachtio({ PATH: directory })).toBeUndefined();
  });

  it('must be a program if it is named', () => {
    chmodSync(drachtio, 0o644);
    const find = () => findDrachtio({ DRACHTIO_SERVER: drachtio });
    expect(find).toThrow(LocalCloudError);
    expect(find).toThrow(/is no program: name the drachtio binary, or unset it/);
  });
});
