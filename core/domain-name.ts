/** A domain name as the deployment file has it. */
import { z } from 'zod';
import { MAX_LABEL_CHARACTERS } from './dns-limits.ts';

/** The common name of a certificate (RFC 5280, upper bounds), which ACM takes the first domain for. */
export const MAX_CERTIFICATE_NAME_CHARACTERS = 64;

export const domainName = z
  .string()
  .regex(
    /^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$/,
    'write a domain name in lower case without a closing dot, such as rec.example.com',
  )
  .refine(
    (name) => name.split('.').every(({ length }) => length <= MAX_LABEL_CHARACTERS),
    `a part between dots has more than the ${MAX_LABEL_CHARACTERS} characters of DNS: choose a shorter one`,
  );
