/**
 * The deployment file: the one thing that an operator writes.
 *
 * It is read once, here, into a domain type that every other part trusts. A file with mistakes is refused with
 * all of them at once, each with its path in the file, the value found and what to write instead.
 */
import ipaddr from 'ipaddr.js';
import { type Document, parseDocument } from 'yaml';
import { z } from 'zod';
import { apiSchema } from './api-auth.ts';
import { MAX_ANSWER_BYTES, MAX_NAME_CHARACTERS, srvAnswerBytes } from './dns-limits.ts';
import { domainName, MAX_CERTIFICATE_NAME_CHARACTERS } from './domain-name.ts';
import { MAX_ENVIRONMENT_BYTES, replicationRuleSchema, rulesOf, rulesSize } from './replication-rules.ts';
import { retentionSchema } from './retention.ts';

/** Route 53 answers a multivalue query with at most 8 records (Developer Guide, "Multivalue answer routing"). */
export const MAX_SLOTS_PER_SERVICE = 8;

const label = (what: string) =>
  z
    .string()
    .regex(
      /^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/,
      `${what} is 1 to 20 of a-z, 0-9 and -, starting with a letter`,
    );

const network = z
  .string()
  .refine(
    isNetwork,
    'write an address range in CIDR notation with its host bits zero, such as 198.51.100.0/24',
  );

const regionName = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'write an AWS region, such as us-east-1');

const wholeNumber = (min: number, max: number, unit: string) => {
  const remedy = `write a whole number of ${unit} from ${min} to ${max}`;
  return z.int(remedy).min(min, remedy).max(max, remedy);
};

const slot = z.strictObject({
  /** Fixed for the life of the slot: its address, DNS records and spool volume hang on it. */
  name: label('a slot name'),
  zone: z.string(),
  callCapacity: wholeNumber(1, 10_000, 'concurrent recordings'),
  /** SRV services that name this slot; all of them when absent. */
  services: z.array(z.string()).min(1, 'name at least one service, or leave the key out for all').optional(),
});

/** Each availability zone has a sixteenth of it, by its letter, so that a zone that is added moves nobody. */
const VPC_CIDR = '10.60.0.0/16';
const vpcCidr = z
  .string()
  .refine(
    (text) => isNetwork(text) && /^[\d.]+\/(1[6-9]|2[0-4])$/.test(text),
    `write an IPv4 range of /16 to /24 with its host bits zero, such as ${VPC_CIDR}`,
  );

const region = z.strictObject({
  name: regionName,
  /** Private addresses of the recorders' VPC. */
  vpcCidr: vpcCidr.default(VPC_CIDR),
  /** SRV priority: the SRC tries the lowest first. */
  tier: wholeNumber(0, 65_535, 'SRV priority (10 = first choice, 20 = backup)'),
  slots: z.array(slot).min(1, 'give the region at least one slot'),
});

/** How SIP reaches a recorder; `tls` needs a certificate for the service's domain on each (RFC 5922). */
export const TRANSPORTS = ['udp', 'tcp', 'tls'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** First labels of the SRV name of each (RFC 3263 section 4.2). */
export const SRV_LABELS: Record<Transport, string> = {
  udp: '_sip._udp',
  tcp: '_sip._tcp',
  tls: '_sips._tcp',
};

const service = z.strictObject({
  /** The SRC is given `<name>.<zone>`, with the port left empty. */
  name: label('a service name'),
  transports: z
    .array(z.enum(TRANSPORTS, 'write udp, tcp or tls'))
    .min(1, 'name at least one transport: udp, tcp, tls'),
  /** NAPTR records for SRCs that look for the transport first (RFC 3263 section 4.1), in the order of `transports`. */
  naptr: z.boolean('write true or false').optional(),
});

/**
 * What kind of SRC a source is:
 * `broadworks`: anything with an SDP offer is recorded, and the SRC is never asked for metadata;
 * `rfc7866`: an INVITE without the marks of a recording session (`+sip.src` in Contact, `siprec` in Require) is refused;
 * `generic`: anything with an SDP offer is recorded; as with `rfc7866`, missing metadata is asked for.
 */
export const SOURCE_PROFILES = ['broadworks', 'rfc7866', 'generic'] as const;
export type SourceProfile = (typeof SOURCE_PROFILES)[number];

/** One SRC; a recorder is given the same. */
export const sourceSchema = z.strictObject({
  name: label('a source name'),
  networks: z.array(network).min(1, 'list the networks that its SIP and RTP come from'),
  /** Owner of what this SRC records; when absent, the service provider that BroadWorks names in the metadata. */
  tenant: label('a tenant').optional(),
  /** Keys pressed during a call are recorded as `*`; their tones in the audio are not changed. */
  maskDigits: z.boolean('write true or false').optional(),
  /**
   * What journals hold of encrypted calls until they are finished: SRTP as it came, with its keys sealed beside it, or,
   * if so written here, the audio in clear.
   */
  journalSrtp: z.enum(['encrypted', 'decrypted'], 'write encrypted or decrypted').optional(),
  profile: z.enum(SOURCE_PROFILES, 'write broadworks, rfc7866 or generic').default('broadworks'),
});

/** The hosts of all slots; what is not said follows from a slot's capacity (`core/host-plan.ts`). */
const recorders = z.strictObject({
  /** Of EC2; Graviton or not. No bursts: a host out of CPU credits would be late for packets. */
  instanceType: z
    .string()
    .regex(
      /^(?!t\d)[a-z]+\d[a-z0-9-]*\.\d*x?large$/,
      'write an EC2 instance type of 2 vCPUs or more that does not burst, such as c7g.xlarge',
    )
    .optional(),
  /** Of the disk for what is not yet in S3. It can be made larger later, and never smaller. */
  spoolGiB: wholeNumber(10, 16_384, 'GiB').optional(),
  /** SSM parameter with the id of an ECS-optimised Amazon Linux 2023 image; AWS's newest when absent. */
  imageParameter: z
    .string()
    .regex(/^\/[\w./-]+$/, 'write the name of an SSM parameter, such as /aws/service/ecs/optimized-ami/...')
    .optional(),
  /** Of drachtio-server, for the platform of the hosts: with its digest, so that the tag cannot come to mean another one. */
  sipServerImage: z
    .string()
    .regex(
      /^[a-z0-9][\w./-]*(:\d+\/[\w./-]+)?:[\w.-]+@sha256:[0-9a-f]{64}$/,
      'write an image with its tag and digest, such as drachtio/drachtio-server:0.9.10@sha256:<64 hexadecimal digits>',
    )
    .optional(),
});

/** Who gets copies of what `from` records. */
const replicationTarget = z.strictObject({
  from: regionName,
  ...replicationRuleSchema.shape,
  to: regionName,
});

/** Who is told of alarms, of both severities. AWS asks each of them to confirm before it sends anything. */
const alarms = z.strictObject({
  email: z.array(z.email('write an e-mail address, such as ops@example.com')).default([]),
  https: z
    .array(z.url({ protocol: /^https$/, error: 'write an address that begins with https://' }))
    .default([]),
});

const accountRemedy = 'write the 12 digits of the AWS account, in quotes';

const schema = z.strictObject({
  name: label('a deployment name'),
  account: z.string(accountRemedy).regex(/^\d{12}$/, accountRemedy),
  dns: z.strictObject({
    zone: domainName,
    /** An existing public hosted zone; when absent, the deployment makes its own. */
    hostedZoneId: z
      .string()
      .regex(/^Z[A-Z0-9]{4,31}$/, 'write a hosted zone id, such as Z0123456789ABC')
      .optional(),
    services: z.array(service).min(1, 'name at least one SRV service'),
  }),
  regions: z.array(region).min(1, 'name at least one region'),
  sources: z.array(sourceSchema).min(1, 'name at least one SRC: calls from anyone else are refused'),
  recorders: recorders.default({}),
  replication: z.array(replicationTarget).default([]),
  alarms: alarms.prefault({}),
  retention: retentionSchema,
  api: apiSchema.prefault({}),
});

/** What makes the names in DNS. */
const namesSchema = z.object({ dns: schema.shape.dns, regions: schema.shape.regions });
const apiDomainSchema = z.object({ api: z.object({ domain: domainName }) });
type DeploymentNames = z.infer<typeof namesSchema>;

export type Deployment = z.infer<typeof schema>;
export type DeploymentRegion = Deployment['regions'][number];
export type DeploymentSlot = DeploymentRegion['slots'][number];
export type DeploymentService = Deployment['dns']['services'][number];
export type DeploymentSource = Deployment['sources'][number];

/** One mistake in the deployment file. `path` is where (`regions[0].slots[1].zone`). */
export interface DeploymentProblem {
  path: string;
  value: unknown;
  remedy: string;
}

/** The deployment file cannot be used; the message lists every problem, one a line. */
export class DeploymentFileError extends Error {
  readonly problems: DeploymentProblem[];

  constructor(fileName: string, problems: DeploymentProblem[]) {
    const lines = problems.map(
      ({ path, value, remedy }) => `  ${path || '(top)'}: ${describe(value)}: ${remedy}`,
    );
    super(
      `${fileName} has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${lines.join('\n')}`,
    );
    this.name = 'DeploymentFileError';
    this.problems = problems;
  }
}

/** What the operating system says of a file that cannot be read, and what to do about it. */
const UNREADABLE: Record<string, string> = {
  ENOENT: 'there is no such file',
  EISDIR: 'is a directory',
  EACCES: 'may not be read by this user',
};

/**
 * Reads a deployment file.
 * @param readText `readFileSync` of a program, for this folder does no I/O by itself
 * @param how the program is told which file: `with -c deployment=<path>`
 * @throws DeploymentFileError listing every problem; also when there is no such file
 */
export function readDeployment(
  file: string,
  readText: (file: string, encoding: 'utf8') => string,
  how: string,
): Deployment {
  return parseDeployment(textOf(file, readText, how), file);
}

function textOf(file: string, readText: (file: string, encoding: 'utf8') => string, how: string): string {
  try {
    return readText(file, 'utf8');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const remedy = `${UNREADABLE[code] ?? message}: name another ${how}, such as deployments/example.yaml`;
    throw new DeploymentFileError(file, [{ path: '(file)', value: undefined, remedy }]);
  }
}

/**
 * Reads the text of a deployment file (YAML).
 * @param fileName only for messages
 * @throws DeploymentFileError listing every problem
 */
export function parseDeployment(text: string, fileName: string): Deployment {
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0)
    throw new DeploymentFileError(
      fileName,
      document.errors.map((error) => ({
        path: `line ${error.linePos?.[0].line ?? '?'}`,
        value: error.code,
        remedy: error.message.split('\n')[0] ?? 'not YAML',
      })),
    );
  const input = toPlainData(document, fileName);
  const result = schema.safeParse(input);
  const names = namesSchema.safeParse(input);
  const apiDomain = apiDomainSchema.safeParse(input);
  const replication = schema.shape.replication.safeParse(valueAt(input, ['replication']));
  const problems = [
    ...(result.error?.issues ?? []).flatMap((issue) => toProblems(issue, input)),
    ...crossChecks(input),
    ...(names.data ? dnsChecks(names.data) : []),
    ...(names.data && apiDomain.data ? apiDomainChecks(names.data, apiDomain.data.api.domain) : []),
    ...(replication.data ? replicationChecks(replication.data, valueAt(input, ['retention'])) : []),
  ];
  if (problems.length > 0 || !result.success) throw new DeploymentFileError(fileName, problems);
  return result.data;
}

/** Aliases are looked up only here, so that a `*` without quotes is found out late. */
function toPlainData(document: Document, fileName: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    const remedy = `${(error as Error).message}: quote a text that begins with *`;
    throw new DeploymentFileError(fileName, [{ path: '', value: undefined, remedy }]);
  }
}

/** What zod calls a kind of value, in the words of the file. */
const KINDS: Record<string, string> = {
  string: 'a text',
  array: 'a list',
  object: 'keys with values, as in deployments/example.yaml',
};

function toProblems(issue: z.core.$ZodIssue, input: unknown): DeploymentProblem[] {
  const value = valueAt(input, issue.path);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: pathText([...issue.path, key]),
      value: valueAt(value, [key]),
      remedy: 'no such key: remove it, or check its spelling',
    }));
  const kind = issue.code === 'invalid_type' && issue.message.startsWith('Invalid input') && issue.expected;
  const remedy =
    value === undefined ? 'is missing: add it' : kind ? `write ${KINDS[kind] ?? kind}` : issue.message;
  return [{ path: pathText(issue.path), value, remedy }];
}

/**
 * What no single field shows: names used twice, references to what is not there, Route 53's limit of 8.
 * Works on the raw input and passes over what is malformed, so that these mistakes are told along with the others.
 */
function crossChecks(input: unknown): DeploymentProblem[] {
  const problems: DeploymentProblem[] = [];
  const report = (path: Path, remedy: string) =>
    problems.push({ path: pathText(path), value: valueAt(input, path), remedy });
  const at = (path: Path) => valueAt(input, path);
  const rows = (path: Path): Path[] => {
    const list = at(path);
    return Array.isArray(list) ? list.map((_, index) => [...path, index]) : [];
  };
  const unique = (paths: Path[], what: string) => {
    const seen = new Map<unknown, string>();
    for (const path of paths) {
      const value = at(path);
      if (typeof value !== 'string') continue;
      const first = seen.get(value);
      if (first) report(path, `${what} is already used at ${first}: choose another`);
      else seen.set(value, pathText(path));
    }
  };

  const names = (paths: Path[]) => paths.map(at).filter((name) => typeof name === 'string');
  const named = (paths: Path[]) => paths.map((path) => [...path, 'name']);

  const regions = rows(['regions']);
  const slots = regions.flatMap((path) => rows([...path, 'slots']));
  const services = rows(['dns', 'services']);
  unique(named(regions), 'this region');
  unique(named(slots), 'this slot name');
  unique(named(services), 'this service name');
  unique(named(rows(['sources'])), 'this source name');
  for (const way of ['email', 'https']) unique(rows(['alarms', way]), 'this address');
  for (const path of services) unique(rows([...path, 'transports']), 'this transport');
  unique(
    rows(['api', 'callers']).map((path) => [...path, 'principal']),
    'this principal',
  );

  for (const slotPath of slots) {
    const region = regionName.safeParse(at([...slotPath.slice(0, 2), 'name'])).data;
    const zone = at([...slotPath, 'zone']);
    if (region && typeof zone === 'string' && !(zone.slice(0, -1) === region && /[a-p]$/.test(zone)))
      report([...slotPath, 'zone'], `write an availability zone of ${region}, such as ${region}a`);
  }

  const serviceNames = names(named(services));
  for (const path of slots.flatMap((slotPath) => rows([...slotPath, 'services']))) {
    const name = at(path);
    if (typeof name === 'string' && !serviceNames.includes(name))
      report(path, `no such service: use one of ${serviceNames.join(', ')}`);
  }
  for (const path of named(services)) {
    const name = at(path);
    if (typeof name !== 'string' || slots.length === 0) continue;
    const members = slots.filter((slotPath) => {
      const chosen = at([...slotPath, 'services']);
      return !Array.isArray(chosen) || chosen.includes(name);
    });
    if (members.length > MAX_SLOTS_PER_SERVICE)
      report(
        path,
        `${members.length} slots share this SRV name and Route 53 answers with ${MAX_SLOTS_PER_SERVICE}: ` +
          'add a service and give each slot its own in `services`',
      );
    if (members.length === 0) report(path, 'no slot serves it: remove it, or name it in a slot');
  }

  const regionNames = names(named(regions));
  const pairs = new Map<string, string>();
  for (const target of rows(['replication'])) {
    const [from, to] = [at([...target, 'from']), at([...target, 'to'])];
    for (const [key, name] of Object.entries({ from, to }))
      if (typeof name === 'string' && !regionNames.includes(name))
        report([...target, key], `no such region here: use one of ${regionNames.join(', ')}`);
    if (typeof to === 'string' && from === to)
      report([...target, 'to'], 'is the region that it copies from: name another');
    const pair = typeof from === 'string' && typeof to === 'string' && `${from} ${to}`;
    const first = pair && pairs.get(pair);
    if (first)
      report(
        [...target, 'to'],
        `${from} already copies to it at ${first}: keep one of both, with the filters of both in its lists`,
      );
    else if (pair) pairs.set(pair, pathText(target));
    const [mode, window] = [at([...target, 'mode']), [...target, 'window']];
    if (mode === 'window' && at(window) === undefined)
      report(window, 'is missing: add it, such as { timeZone: America/Chicago, from: "22:00", to: "06:00" }');
    if (mode === 'onCompletion' && at(window) !== undefined)
      report(window, 'onCompletion has no window: remove it, or write mode: window');
    const end = at([...window, 'to']);
    if (end !== undefined && end === at([...window, 'from']))
      report([...window, 'to'], 'is the same as from: write "00:00" and "24:00" for whole days');
  }
  return problems;
}

/** What DNS could not carry, or would not answer with; of names that are well-formed by themselves. */
function dnsChecks(names: DeploymentNames): DeploymentProblem[] {
  const { zone, services } = names.dns;
  const hostOf = (slot: string) => `${slot}.${zone}`;
  const srvNames = (service: DeploymentService) =>
    service.transports.map((transport) => `${SRV_LABELS[transport]}.${service.name}.${zone}`);

  const hosts = names.regions.flatMap(({ slots }) => slots.map(({ name }) => hostOf(name)));
  const [longest = ''] = [...services.flatMap(srvNames), ...hosts].toSorted((a, b) => b.length - a.length);
  if (longest.length > MAX_NAME_CHARACTERS) {
    const remedy = `${longest} would have ${longest.length} characters and DNS allows ${MAX_NAME_CHARACTERS}: choose a shorter zone`;
    return [{ path: 'dns.zone', value: zone, remedy }];
  }

  const tooLong = services.flatMap((service, index): DeploymentProblem[] => {
    const targets = slotsOfService(names, service.name).map(({ slot }) => hostOf(slot.name));
    const [name = ''] = srvNames(service).toSorted((a, b) => b.length - a.length);
    const bytes = srvAnswerBytes(name, targets);
    if (bytes <= MAX_ANSWER_BYTES || targets.length > MAX_SLOTS_PER_SERVICE) return [];
    const remedy =
      `the answer for ${name} with its ${targets.length} slots would have ${bytes} bytes, and by UDP DNS carries ` +
      `${MAX_ANSWER_BYTES}: choose shorter slot names or a shorter zone, or divide the slots among more services`;
    return [{ path: `dns.services[${index}].name`, value: service.name, remedy }];
  });

  // RFC 2782: a target is a host with an address, and no alias. This one would also be the domain of a service, where an
  // SRC that asks for an address, not for SRV, would find this slot alone, dead or alive.
  const shared = names.regions.flatMap(({ slots }, region) =>
    slots.flatMap(({ name }, slot): DeploymentProblem[] => {
      const index = services.findIndex((service) => service.name === name);
      if (index < 0) return [];
      const remedy = `${hostOf(name)} is already the domain of dns.services[${index}]: choose another`;
      return [{ path: `regions[${region}].slots[${slot}].name`, value: name, remedy }];
    }),
  );
  return [...tooLong, ...shared];
}

/** The API's domain is a name of the zone, and of nothing else there. */
function apiDomainChecks({ dns, regions }: DeploymentNames, domain: string): DeploymentProblem[] {
  const report = (remedy: string): DeploymentProblem[] => [{ path: 'api.domain', value: domain, remedy }];
  if (!domain.endsWith(`.${dns.zone}`)) return report(`write a name below dns.zone, such as api.${dns.zone}`);
  if (domain.length > MAX_CERTIFICATE_NAME_CHARACTERS)
    return report(
      `has ${domain.length} characters and a certificate of ACM allows ${MAX_CERTIFICATE_NAME_CHARACTERS}: choose a shorter one`,
    );
  const others = [...dns.services, ...regions.flatMap(({ slots }) => slots)];
  if (others.some(({ name }) => domain === `${name}.${dns.zone}`))
    return report('is already the name of a service or a slot: choose another');
  return [];
}

/** Rules travel to the functions in their environment, which is small. */
function replicationChecks(replication: Deployment['replication'], retention: unknown): DeploymentProblem[] {
  // It travels with them.
  const retentionBytes = Buffer.byteLength(JSON.stringify(retention) ?? '');
  const sources = [...new Set(replication.map(({ from }) => from))];
  return sources.flatMap((from): DeploymentProblem[] => {
    const { bytes, limit: most } = rulesSize(rulesOf({ replication }, from));
    const limit = most - retentionBytes;
    if (bytes <= limit) return [];
    const sizes = replication.map((target) => (target.from === from ? JSON.stringify(target).length : 0));
    const largest = sizes.indexOf(Math.max(...sizes));
    const remedy =
      `all targets of ${from} have ${bytes} bytes as JSON, and ${limit} fit into the ${MAX_ENVIRONMENT_BYTES} that ` +
      'Lambda gives to an environment: name fewer tenants, service providers, groups and users, or fewer targets';
    return [{ path: `replication[${largest}]`, value: replication[largest], remedy }];
  });
}

/** The slots, with their regions, that a service's SRV records name, in the file's order. */
export function slotsOfService(
  deployment: Pick<Deployment, 'regions'>,
  serviceName: string,
): { region: DeploymentRegion; slot: DeploymentSlot }[] {
  return deployment.regions.flatMap((r) =>
    r.slots.filter((s) => isInService(s, serviceName)).map((s) => ({ region: r, slot: s })),
  );
}

/** Whether a service's SRV records name the slot. */
export const isInService = (slot: DeploymentSlot, serviceName: string): boolean =>
  slot.services?.includes(serviceName) ?? true;

/**
 * Stricter than ipaddr.js, which takes `198.51.100` for 198.51.0.100 and a part with a leading zero for octal. An SRC's
 * address has no zone id, and is compared as IPv4 when it came mapped into IPv6.
 */
function isNetwork(text: string): boolean {
  if (ipaddr.IPv4.isValidCIDRFourPartDecimal(text))
    return sameAddress(ipaddr.IPv4.networkAddressFromCIDR(text), text);
  if (!ipaddr.IPv6.isValidCIDR(text) || text.includes('%')) return false;
  const network = ipaddr.IPv6.networkAddressFromCIDR(text);
  return !network.isIPv4MappedAddress() && sameAddress(network, text);
}

const sameAddress = (network: ipaddr.IPv4 | ipaddr.IPv6, cidr: string): boolean =>
  network.toNormalizedString() === ipaddr.parseCIDR(cidr)[0].toNormalizedString();

type Path = readonly PropertyKey[];

const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text ? `${text}.${String(key)}` : String(key),
    '',
  );

const valueAt = (input: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key],
    input,
  );

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
