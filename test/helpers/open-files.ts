import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Of this process, whose paths begin so; none where the system does not tell. */
export function openFilesIn(path: string): string[] {
  const descriptors = '/proc/self/fd';
  if (!existsSync(descriptors)) return [];
  return readdirSync(descriptors).flatMap((descriptor) => {
    try {
      return [readlinkSync(join(descriptors, descriptor))].filter((open) => open.startsWith(path));
    } catch {
      return []; // closed meanwhile
    }
  });
}
