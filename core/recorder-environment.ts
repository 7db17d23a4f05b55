/**
 * The environment of a recorder process: what its container definition, or the local cloud, must set.
 * Read once at start; every mistake is told at once.
 */
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);

/** SRCs allowed to call, as in the deployment file. */
const sources = z.array(
  z.object({ name: z.string(), networks: z.array(z.string()).min(1), tenant: z.string().optional() }),
);

const schema = z.object({
  SIPREC_SLOT: z.string().min(1),
  SIPREC_CALL_CAPACITY: z.coerce.number().int().positive(),
  /** JSON: `[{"name", "networks": [CIDR], "tenant"?}]`. */
  SIPREC_SOURCES: z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue('write JSON: [{"name": "...", "networks": ["198.51.100.0/24"]}]');
        return z.NEVER;
      }
    })
    .pipe(sources),
  SIPREC_BUCKET: z.string().min(1),
  /** Directory of journals and finished files that are not yet safe in S3. */
  SIPREC_SPOOL: z.string().min(1),
  /** Local address that RTP sockets are bound to, and the one that answers name. */
  SIPREC_MEDIA_ADDRESS: z.union([z.ipv4(), z.ipv6()]),
  SIPREC_MEDIA_PUBLIC_ADDRESS: z.union([z.ipv4(), z.ipv6()]).optional(),
  SIPREC_RTP_PORT_MIN: port.default(20_000),
  SIPREC_RTP_PORT_MAX: port.default(59_999),
  SIPREC_MEDIA_WORKERS: z.coerce.number().int().min(1).max(64).default(1),
  SIPREC_HEALTH_ADDRESS: z.string().default('0.0.0.0'),
  SIPREC_HEALTH_PORT: port.default(8080),
  /** Seconds that running recordings are given to end by themselves when the recorder is stopped. */
  SIPREC_DRAIN_SECONDS: z.coerce.number().int().min(0).default(7_200),
  DRACHTIO_HOST: z.string().default('127.0.0.1'),
  DRACHTIO_PORT: port.default(9022),
  DRACHTIO_SECRET: z.string().min(1),
  AWS_REGION: z.string().min(1),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
});

export type RecorderEnvironment = z.infer<typeof schema>;

/** What a caller writes to start a recorder: the same names, as text. */
export type RecorderVariables = { [name in keyof z.input<typeof schema>]?: string };

/**
 * Reads the environment of a recorder.
 * @throws Error naming each variable that is missing or wrong
 */
export function readRecorderEnvironment(variables: NodeJS.ProcessEnv): RecorderEnvironment {
  const result = schema.safeParse(variables);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return `  ${name}: ${JSON.stringify(variables[name]) ?? 'not set'}: ${issue.message}`;
  });
  throw new Error(`the environment of the recorder is not usable:\n${lines.join('\n')}`);
}
