/** The compose files start the SIP server as the stacks do. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { SIP_SERVER_ENVIRONMENT, sipServerCommand } from '../../core/sip-server.ts';

const IMAGE = join(import.meta.dirname, '../../recorder-image');
const ADDRESS = '198.51.100.11';

const schema = z.object({
  services: z.object({
    'sip-server': z.object({
      command: z.string(),
      environment: z.record(z.string(), z.string()),
      build: z.object({ dockerfile: z.string() }).optional(),
    }),
  }),
});

const sipServerOf = (file: string) => {
  const text = readFileSync(join(IMAGE, file), 'utf8').replaceAll(
    '${' + 'SIPREC_MEDIA_PUBLIC_ADDRESS}',
    ADDRESS,
  );
  return schema.parse(parse(text)).services['sip-server'];
};

describe('the SIP server of the compose files', () => {
  it.each([
    ['compose.yaml', false],
    ['compose.tls.yaml', true],
  ])('is started by %s as it is in AWS', (file, tls) => {
    expect(sipServerOf(file).command.trim().split(/\s+/)).toEqual(sipServerCommand(ADDRESS, tls));
  });

  it('has the environment, and the image, that it has in AWS', () => {
    const { environment, build } = sipServerOf('compose.yaml');
    expect(environment).toMatchObject(SIP_SERVER_ENVIRONMENT);
    expect(build?.dockerfile).toBe('sip-server.Dockerfile');
  });
});
