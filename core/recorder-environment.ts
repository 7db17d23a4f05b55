/**
 * The environment of a recorder process: what its container definition, or the local cloud, must set.
 * Read once at start; every mistake is told at once.
 */
import { z } from 'zod';
import { sourceSchema } from './deployment.ts';
import { METRICS_NAMESPACE } from './names.ts';
import { retentionSchema } from './retention.ts';

/** Where media is received, unless a recorder is told otherwise: four ports for a call of two streams. */
export const RTP_PORTS = { min: 20_000, max: 59_999 } as const;
/** Seconds that a recorder that is stopped gives its calls to end by themselves, unless told otherwise. */
export const DRAIN_SECONDS = 7_200;

const wholeNumber = (min: number, max: number) => {
  const remedy = `write a whole number from ${min} to ${max}`;
  return z
    .string(remedy)
    .regex(/^\d{1,9}$/, remedy)
    .transform(Number)
    .pipe(z.int().min(min, remedy).max(max, remedy));
};

/** 32 bytes, in base64; Secrets Manager generates it without the closing `=`. */
const isKey = (text: string): boolean => /^[A-Za-z0-9+/]{43}=?$/.test(text);

const port = wholeNumber(0, 65_535);
const text = z.string('must be set').min(1, 'must not be empty');
/** Not set, or set to nothing, as Compose does. */
const optionalText = z
  .string()
  .optional()
  .transform((value) => value || undefined);
const address = z.union([z.ipv4(), z.ipv6()], 'write an IPv4 or IPv6 address');

const variables = z.object({
  SIPREC_SLOT: text,
  SIPREC_CALL_CAPACITY: wholeNumber(1, 10_000),
  /** The SRCs that may call, in JSON: `[{"name", "networks": [CIDR], "tenant"?, "profile"?}]`. */
  SIPREC_SOURCES: text
    .transform((json, context) => {
      try {
        return JSON.parse(json) as unknown;
      } catch {
        context.addIssue('write JSON: [{"name": "...", "networks": ["198.51.100.0/24"]}]');
        return z.NEVER;
      }
    })
    .pipe(z.array(sourceSchema)),
  SIPREC_BUCKET: text,
  /** `retention` of the deployment file, in JSON, where its buckets have Object Lock; without it, uploads are not locked. */
  SIPREC_RETENTION: optionalText
    .transform((json, context) => {
      try {
        return json === undefined ? undefined : (JSON.parse(json) as unknown);
      } catch {
        context.addIssue('write JSON: {"days": 365, "objectLock": "governance"}');
        return z.NEVER;
      }
    })
    .pipe(retentionSchema.optional()),
  /** The region's fleet table, for load reports; without it none are written. */
  SIPREC_FLEET_TABLE: optionalText,
  /** Of the metrics that the log carries to CloudWatch: the deployment's. */
  SIPREC_METRICS_NAMESPACE: text.default(METRICS_NAMESPACE),
  /** Name of the SSM parameter that closes the region (`closed`) and opens it (`open`); without it the region is open. */
  SIPREC_REGION_SWITCH: optionalText,
  /** Directory of journals and finished files that are not yet safe in S3. */
  SIPREC_SPOOL: text,
  /**
   * Seals the keys of encrypted calls in the spool: base64 of 32 random bytes, the same for all recorders that may be
   * handed the spool. Several, with commas: the first seals, the others still open what they sealed.
   */
  SIPREC_SPOOL_KEY: z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((key) => key.trim() || []))
    .refine(
      (keys) => keys.every(isKey),
      'write base64 of 32 random bytes, such as of `openssl rand -base64 32`',
    ),
  /**
   * MiB of the spool's disk: with no more free, no call is taken; with less than half of it, the recordings that run are
   * ended, and the rest is the room to finish them. 0 keeps nothing free.
   */
  SIPREC_SPOOL_RESERVE_MB: wholeNumber(0, 1_000_000).default(256),
  /** Local address that RTP sockets are bound to, and the one that answers name. */
  SIPREC_MEDIA_ADDRESS: address,
  SIPREC_MEDIA_PUBLIC_ADDRESS: address.optional(),
  SIPREC_RTP_PORT_MIN: port.default(RTP_PORTS.min),
  SIPREC_RTP_PORT_MAX: port.default(RTP_PORTS.max),
  /** Between two uses of a pair of RTP ports: SRCs send on for a while after a call's end. */
  SIPREC_PORT_COOLDOWN_SECONDS: wholeNumber(0, 3_600).default(30),
  SIPREC_MEDIA_WORKERS: wholeNumber(1, 64).default(1),
  /** How workers take packets from the kernel: by the compiled addon, or by Node alone; `auto`: the first where it is. */
  SIPREC_MEDIA_RECEIVER: z.enum(['auto', 'native', 'dgram']).default('auto'),
  /** Packets that wait for longer, for a slow disk or CPU, turn the recorder unhealthy. */
  SIPREC_MAX_STALL_MS: wholeNumber(100, 60_000).default(400),
  /** An event loop that is later than this for some seconds (99th percentile) turns the recorder unhealthy. */
  SIPREC_MAX_LOOP_DELAY_MS: wholeNumber(10, 60_000).default(500),
  SIPREC_HEALTH_ADDRESS: z.string().default('0.0.0.0'),
  SIPREC_HEALTH_PORT: port.default(8080),
  /** Seconds that running recordings are given to end by themselves when the recorder is stopped. */
  SIPREC_DRAIN_SECONDS: wholeNumber(0, 86_400).default(DRAIN_SECONDS),
  /** `http://169.254.169.254` on EC2: the recorder drains when its instance is about to go. Without it nobody asks. */
  SIPREC_INSTANCE_METADATA: optionalText.refine(
    (value) => value === undefined || URL.canParse(value),
    'write an address such as http://169.254.169.254',
  ),
  /** A recording without any RTP for so long, and not on hold, is over: SRCs die without a BYE. */
  SIPREC_SILENCE_SECONDS: wholeNumber(1, 86_400).default(7_200),
  /** The same once the dialog is lost, with the SIP server or with the recorder's predecessor: no BYE can come. */
  SIPREC_ORPHAN_SILENCE_SECONDS: wholeNumber(1, 86_400).default(10),
  /** No recording is longer. */
  SIPREC_MAX_CALL_SECONDS: wholeNumber(1, 604_800).default(43_200),
  DRACHTIO_HOST: z.string().default('127.0.0.1'),
  DRACHTIO_PORT: port.default(9022),
  DRACHTIO_SECRET: text,
  AWS_REGION: text,
  /** `1`: SIGUSR2 kills a media worker, for drills. */
  SIPREC_DRILLS: z.enum(['0', '1']).default('0'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
});

const schema = variables.refine(({ SIPREC_RTP_PORT_MIN: min, SIPREC_RTP_PORT_MAX: max }) => !(max <= min), {
  path: ['SIPREC_RTP_PORT_MAX'],
  error: 'must be above SIPREC_RTP_PORT_MIN',
  when: () => true, // told along with the other mistakes
});

export type RecorderEnvironment = z.infer<typeof schema>;

/** What a caller writes to start a recorder: the same names, as text. */
export type RecorderVariables = { [name in keyof z.input<typeof schema>]?: string };

/** Not repeated in messages. */
const SECRETS = ['SIPREC_SPOOL_KEY'];
/** What `recover` needs of it: the recordings themselves know their slot and their home region. */
const recoverySchema = variables
  .pick({
    SIPREC_BUCKET: true,
    SIPREC_RETENTION: true,
    SIPREC_SPOOL_KEY: true,
    AWS_REGION: true,
    LOG_LEVEL: true,
  })
  .extend({ LOG_LEVEL: variables.shape.LOG_LEVEL.unwrap().optional() });

export type RecoveryEnvironment = z.infer<typeof recoverySchema>;

/**
 * Reads the environment of a recorder.
 * @throws Error naming each variable that is missing or wrong
 */
export const readRecorderEnvironment = (environment: NodeJS.ProcessEnv): RecorderEnvironment =>
  read(schema, environment);

/**
 * Reads the environment of `recover`.
 * @throws Error naming each variable that is missing or wrong
 */
export const readRecoveryEnvironment = (environment: NodeJS.ProcessEnv): RecoveryEnvironment =>
  read(recoverySchema, environment);

function read<Result>(wanted: z.ZodType<Result>, environment: NodeJS.ProcessEnv): Result {
  const result = wanted.safeParse(environment);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    const value = SECRETS.includes(name) ? 'its value' : (JSON.stringify(environment[name]) ?? 'not set');
    return `  ${name}: ${value}: ${issue.message}`;
  });
  throw new Error(`the environment of the recorder is not usable:\n${lines.join('\n')}`);
}
