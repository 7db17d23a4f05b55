import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { DeploymentFileError, parseDeployment, slotsOfService } from '../../core/deployment.ts';

const FILE = 'deployments/mine.yaml';

/** A file without mistakes, for the tests to spoil. */
const VALID = `
name: siprec
account: "111122223333"
dns:
  zone: rec.example.com
  services:
    - { name: siprec, transports: [udp, tcp] }
regions:
  - name: us-east-1
    tier: 10
    slots:
      - { name: use1-1, zone: us-east-1a, callCapacity: 1000 }
  - name: us-west-2
    tier: 20
    slots:
      - { name: usw2-1, zone: us-west-2a, callCapacity: 1000 }
sources:
  - { name: broadworks, networks: [198.51.100.0/24] }
replication:
  - { from: us-east-1, to: us-west-2, mode: onCompletion }
retention: { days: 30 }
api: { auth: iam }
`;

/** The valid file with other values: `{ 'regions[0].tier': 5 }`; undefined takes the key away. */
function fileWith(values: Record<string, unknown>): string {
  const document = parseDocument(VALID);
  for (const [path, value] of Object.entries(values)) {
    const keys = path
      .split(/[.[\]]+/)
      .filter(Boolean)
      .map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    if (value === undefined) document.deleteIn(keys);
    else document.setIn(keys, document.createNode(value));
  }
  return document.toString();
}

function refusal(text: string): DeploymentFileError {
  try {
    parseDeployment(text, FILE);
  } catch (error) {
    if (error instanceof DeploymentFileError) return error;
    throw error;
  }
  throw new Error(`this file was accepted:\n${text}`);
}

const SLOT = 'regions[0].slots[0]';

const NIGHT = { timeZone: 'America/Chicago', from: '22:00', to: '06:00' };
const DIRECTION = { 'replication[0].filters.directions': [''] };
const WINDOW_MISTAKES: [path: string, value: unknown, remedy: RegExp][] = [
  ['timeZone', 'America/Springfield', /time zone of the IANA database, such as America\/Chicago/],
  ['timeZone', '+02:00', /IANA/],
  ['timeZone', undefined, /is missing/],
  ['days', [], /at least one day, or leave the key out for all/],
  ['days[0]', 'monday', /write mon, tue, wed, thu, fri, sat, sun/],
  ['from', '24:00', /from "00:00" to "23:59", in quotes/],
  ['from', '7:00', /from "00:00" to "23:59"/],
  ['to', '25:00', /from "00:00" to "24:00"/],
  ['to', '22:00', /is the same as from: write "00:00" and "24:00" for whole days/],
];

/** One mistake each. `others` is what must change with it, so that it is the only mistake. */
const OIDC = {
  issuer: 'https://id.example.com/realm',
  audience: 'siprec',
  tenantClaim: 'tenant',
  roleClaim: 'roles',
};
const CALLER = {
  principal: 'arn:aws:iam::111122223333:role/supervisors',
  tenants: ['acme'],
  roles: ['search', 'listen'],
};

const MISTAKES: [path: string, value: unknown, remedy: RegExp, others?: Record<string, unknown>][] = [
  [
    'recorders.instanceType',
    't4g.large',
    /write an EC2 instance type of 2 vCPUs or more that does not burst/,
  ],
  ['recorders.instanceType', 'c7g.medium', /of 2 vCPUs or more/],
  ['recorders.spoolGiB', 5, /write a whole number of GiB from 10 to 16384/],
  ['recorders.imageParameter', 'ami-0123', /write the name of an SSM parameter/],
  ...[
    'drachtio/drachtio-server:0.9.10',
    `sip@sha256:${'0'.repeat(64)}`,
    `sip:9@sha256:${'0'.repeat(63)}`,
    `sip:9@sha256:${'A'.repeat(64)}`,
    `sip 9@sha256:${'0'.repeat(64)}`,
  ].map((image): (typeof MISTAKES)[number] => [
    'recorders.sipServerImage',
    image,
    /write an image with its tag and digest/,
  ]),
  ['recorders.instances', 2, /no such key/],
  ['regions[0].vpcCidr', '10.60.0.0/25', /write an IPv4 range of \/16 to \/24/],
  ['regions[0].vpcCidr', '10.60.1.0/16', /write an IPv4 range/],
  ['name', 'Siprec', /a deployment name is 1 to 20 of a-z, 0-9 and -, starting with a letter/],
  ['name', 'a'.repeat(21), /1 to 20/],
  ['name', 'a-', /1 to 20/],
  ['name', undefined, /^is missing: add it$/],
  ['alarms.email[0]', 'ops', /write an e-mail address/, { alarms: { email: ['ops'] } }],
  [
    'alarms.https[0]',
    'http://example.com',
    /begins with https/,
    { alarms: { https: ['http://example.com'] } },
  ],
  [
    'alarms.email[1]',
    'ops@example.com',
    /this address is already used at alarms\.email\[0\]/,
    { alarms: { email: ['ops@example.com', 'ops@example.com'] } },
  ],
  ['alarms.sms', ['555-0100'], /no such key/, { alarms: {} }],
  ['account', '1111', /12 digits of the AWS account, in quotes/],
  ['dns.zone', 'rec', /domain name in lower case/],
  ['dns.zone', 'rec.example.com.', /without a closing dot/],
  ['dns.zone', `${'a'.repeat(64)}.example.com`, /more than the 63 characters of DNS/],
  ['dns.services[0].naptr', 'yes', /write true or false/],
  [`${SLOT}.name`, 'siprec', /^siprec\.rec\.example\.com is already the domain of dns\.services\[0\]/],
  ['dns.hostedZoneId', '/hostedzone/Z1', /hosted zone id, such as Z0123456789ABC/],
  ['dns.services', [], /at least one SRV service/],
  ['dns.services[0].transports', [], /at least one transport: udp, tcp/],
  ['dns.services[0].transports[0]', 'sctp', /write udp, tcp or tls/],
  ['dns.services[0].transports[1]', 'udp', /already used at dns\.services\[0\]\.transports\[0\]/],
  [
    'dns.services[1].name',
    'siprec',
    /this service name is already used at dns\.services\[0\]\.name: choose another/,
    { 'dns.services[1]': { name: 'siprec', transports: ['udp'] } },
  ],
  [
    'dns.services[1].name',
    'spare',
    /no slot serves it: remove it, or name it in a slot/,
    {
      'dns.services[1]': { name: 'spare', transports: ['udp'] },
      [`${SLOT}.services`]: ['siprec'],
      'regions[1].slots[0].services': ['siprec'],
    },
  ],
  ['regions[0].name', 'virginia', /AWS region, such as us-east-1/, { replication: undefined }],
  [
    'regions[1].name',
    'us-east-1',
    /this region is already used at regions\[0\]\.name/,
    { 'regions[1].slots[0].zone': 'us-east-1b', replication: undefined },
  ],
  ['regions[0].tier', 65_536, /SRV priority .* from 0 to 65535/],
  ['regions[0].tier', '10', /whole number/],
  ['regions[1].slots', [], /at least one slot/],
  [`${SLOT}.name`, '1-use1', /a slot name is 1 to 20/],
  ['regions[1].slots[0].name', 'use1-1', /already used at regions\[0\]\.slots\[0\]\.name/],
  [`${SLOT}.zone`, 'us-west-2a', /availability zone of us-east-1, such as us-east-1a/],
  [`${SLOT}.zone`, 'us-east-1', /availability zone of us-east-1/],
  [`${SLOT}.callCapacity`, 0, /whole number of concurrent recordings from 1 to 10000/],
  [`${SLOT}.callCapacity`, 10_001, /from 1 to 10000/],
  [`${SLOT}.callCapacity`, 1.5, /whole number/],
  [`${SLOT}.services`, [], /leave the key out for all/],
  [
    `${SLOT}.services[1]`,
    'other',
    /no such service: use one of siprec$/,
    { [`${SLOT}.services`]: ['siprec'] },
  ],
  ['sources', [], /at least one SRC: calls from anyone else are refused/],
  ['sources[0].networks', [], /networks that its SIP and RTP come from/],
  [
    'sources[1].name',
    'broadworks',
    /already used at sources\[0\]\.name/,
    { 'sources[1]': { name: 'broadworks', networks: ['203.0.113.0/24'] } },
  ],
  ['sources[0].tenant', 'A B', /a tenant is 1 to 20/],
  ['sources[0].profile', 'cisco', /write broadworks, rfc7866 or generic/],
  ['replication[0].from', 'eu-west-1', /no such region here: use one of us-east-1, us-west-2/],
  ['replication[0].to', 'us-east-1', /is the region that it copies from: name another/],
  ['replication[0].to', undefined, /is missing/],
  ['replication[0].mode', 'nightly', /^write onCompletion or window$/],
  [
    'replication[1].to',
    'us-west-2',
    /^us-east-1 already copies to it at replication\[0\]: keep one of both/,
    { 'replication[1]': { from: 'us-east-1', to: 'us-west-2', mode: 'window', window: NIGHT } },
  ],
  [
    'replication[0].window',
    undefined,
    /^is missing: add it, such as \{ timeZone: America\/Chicago,/,
    { 'replication[0].mode': 'window' },
  ],
  ['replication[0].window', NIGHT, /^onCompletion has no window: remove it, or write mode: window$/],
  ...WINDOW_MISTAKES.map(([path, value, remedy]): [string, unknown, RegExp, Record<string, unknown>] => [
    `replication[0].window.${path}`,
    value,
    remedy,
    { 'replication[0].mode': 'window', 'replication[0].window': { ...NIGHT, days: ['mon'] } },
  ]),
  ['replication[0].priority', -1, /whole number from 0 to 100; the lower goes first/],
  ['replication[0].priority', 'high', /whole number from 0 to 100/],
  ['replication[0].filters.tenants', [], /at least one, or leave the key out for all/],
  [
    'replication[0].filters.users[0]',
    ' ',
    /write a user id or an address/,
    { 'replication[0].filters.users': [''] },
  ],
  ['replication[0].filters.directions[0]', 'in', /write outgoing, incoming, unknown/, DIRECTION],
  ['replication[0].filters.minDurationMs', 0.5, /whole number of milliseconds/],
  ['replication[0].filters.minDuration', 5, /no such key/],
  ['retention.days', 0, /whole number of days from 1 to 36500/],
  ['retention.tenants.acme', 0, /whole number of days from 1 to 36500/],
  ['retention.objectLock', 'strict', /write governance or compliance, or leave the key out/],
  ['api.auth', 'none', /write iam, or oidc/],
  ['api.auth', ['iam'], /write keys with values/],
  ['api.auth.jwt', {}, /no such key/, { 'api.auth': { oidc: OIDC } }],
  [
    'api.auth.oidc.issuer',
    'http://id.example.com',
    /write the https address/,
    { 'api.auth': { oidc: OIDC } },
  ],
  ['api.auth.oidc.audience', undefined, /is missing: add it/, { 'api.auth': { oidc: OIDC } }],
  [
    'api.auth.oidc.roles.boss',
    [],
    /name at least one role/,
    { 'api.auth': { oidc: { ...OIDC, roles: { boss: ['hold'] } } } },
  ],
  ['api.callers', [], /name at least one caller/],
  ['api.callers[0].principal', 'arn:aws:iam::1:role/x', /write the ARN/, { 'api.callers': [CALLER] }],
  ['api.callers[0].tenants', [], /write all, or a list/, { 'api.callers': [CALLER] }],
  ['api.callers[0].roles[0]', 'read', /write search, listen/, { 'api.callers': [CALLER] }],
  ['api.domain', 'API.rec.example.com', /write a domain name in lower case/],
  ['api.domain', 'api.example.com', /write a name below dns.zone, such as api\.rec\.example\.com/],
  ['api.domain', 'rec.example.com', /write a name below dns.zone/],
  ['api.domain', 'siprec.rec.example.com', /is already the name of a service or a slot/],
  ['api.domain', `${'a'.repeat(60)}.rec.example.com`, /has 76 characters and a certificate of ACM allows 64/],
  ['colour', 'red', /no such key: remove it, or check its spelling/],
  [`${SLOT}.capacity`, 5, /no such key/],
  ['api', [], /write keys with values/],
  ['sources', { a: 1 }, /write a list/],
  ['sources', null, /write a list/],
  [`${SLOT}.zone`, 1, /write a text/],
];

describe('parseDeployment', () => {
  it.each(['example', 'local'])('accepts deployments/%s.yaml', (name) => {
    const text = readFileSync(join(import.meta.dirname, `../../deployments/${name}.yaml`), 'utf8');
    const deployment = parseDeployment(text, name);
    expect(deployment.name).toBe('siprec');
    expect(deployment.regions.map((region) => region.name)).toEqual(['us-east-1', 'us-west-2']);
  });

  it('accepts the file that the other tests spoil, also without what is optional', () => {
    expect(parseDeployment(VALID, FILE).replication).toHaveLength(1);
    expect(parseDeployment(fileWith({ replication: undefined }), FILE).replication).toEqual([]);
    expect(parseDeployment(VALID, FILE).alarms).toEqual({ email: [], https: [] });
  });

  it('takes a window as it is written by most, with and without quotes', () => {
    const [target] = parseDeployment(
      fileWith({ 'replication[0]': undefined }).replace(
        'replication: []',
        'replication: [{ from: us-east-1, to: us-west-2, mode: window, priority: 7, ' +
          'window: { timeZone: America/Chicago, days: [sat], from: 22:00, to: "24:00" }, filters: { groups: [sales] } }]',
      ),
      FILE,
    ).replication;
    expect(target).toEqual({
      from: 'us-east-1',
      to: 'us-west-2',
      mode: 'window',
      window: { timeZone: 'America/Chicago', days: ['sat'], from: '22:00', to: '24:00' },
      filters: { groups: ['sales'] },
      priority: 7,
    });
  });

  it('refuses filters that would not fit into the environment of the functions, and takes them up to there', () => {
    const users = (count: number) => Array.from({ length: count }, (_, i) => `user${i + 100}@example.com`);
    const withUsers = (count: number) =>
      fileWith({
        'replication[0].filters.users': users(count),
        'replication[1]': {
          from: 'us-west-2',
          to: 'us-east-1',
          mode: 'onCompletion',
          filters: { users: users(100) },
        },
      });
    expect(parseDeployment(withUsers(100), FILE).replication[0]?.filters?.users).toHaveLength(100);
    const [problem, ...others] = refusal(withUsers(120)).problems;
    expect(others).toEqual([]);
    expect(problem?.path).toBe('replication[0]');
    expect(problem?.remedy).toMatch(
      /^all targets of us-east-1 have 27\d\d bytes as JSON, and 2585 fit into the 4096 .*: name fewer tenants/,
    );
  });

  it.each([
    'drachtio/drachtio-server:0.9.10',
    'docker.io/drachtio/drachtio-server:0.9.10',
    'registry.example.com:5000/sip/drachtio-server:v1_2',
    '111122223333.dkr.ecr.us-east-1.amazonaws.com/drachtio-server:0.9.10',
  ])('takes the image %s with its digest', (name) => {
    const image = `${name}@sha256:${'0a'.repeat(32)}`;
    const file = fileWith({ 'recorders.sipServerImage': image });
    expect(parseDeployment(file, FILE).recorders.sipServerImage).toBe(image);
  });

  it.each(MISTAKES)('refuses %s: %j', (path, value, remedy, others = {}) => {
    const error = refusal(fileWith({ ...others, [path]: value }));
    expect(error.problems).toEqual([{ path, value, remedy: expect.stringMatching(remedy) }]);
    const shown = value === undefined ? 'nothing' : JSON.stringify(value);
    expect(error.message).toBe(`${FILE} has 1 problem:\n  ${path}: ${shown}: ${error.problems[0]?.remedy}`);
  });

  it('tells all mistakes at once, those of one field and those between fields', () => {
    const values = {
      account: 1,
      [`${SLOT}.zone`]: 'eu-west-1a',
      'regions[1].slots[0].name': 'use1-1',
      'regions[1].slots[0].callCapacity': -1,
      'regions[1].slots[0].services': ['nothing'],
      'replication[0].to': 'eu-west-1',
      'retention.days': undefined,
      typo: true,
    };
    const error = refusal(fileWith(values));
    const paths = Object.keys(values).map((path) => (path.endsWith('services') ? `${path}[0]` : path));
    expect(error.problems.map(({ path }) => path).sort()).toEqual(paths.sort());
    expect(error.message).toMatch(/^deployments\/mine\.yaml has 8 problems:\n/);
    expect(error.message.split('\n')).toHaveLength(9);
  });

  it('draws no conclusions from a field that is itself missing', () => {
    const missing = ['dns.services[0].name', 'regions[0].name', 'replication[0].from', 'replication[0].to'];
    const { problems } = refusal(fileWith(Object.fromEntries(missing.map((path) => [path, undefined]))));
    expect(problems).toEqual(
      expect.arrayContaining(
        missing.map((path) => ({ path, value: undefined, remedy: 'is missing: add it' })),
      ),
    );
    expect(problems).toHaveLength(missing.length);
  });

  it('takes any shape of data for what it is: a file with problems', () => {
    for (const text of [
      '[]',
      '5',
      'text',
      'regions: 5',
      'regions: [5]',
      'dns: {services: {a: b}}',
      'sources: [[]]',
    ])
      expect(refusal(text).problems.length).toBeGreaterThan(0);
    expect(refusal('{}').problems.map(({ path }) => path)).toEqual([
      'name',
      'account',
      'dns',
      'regions',
      'sources',
      'retention',
    ]);
  });

  it.each(['', '# nothing but a comment\n', '---\n'])('refuses an empty file: %j', (text) => {
    expect(refusal(text).message).toBe(
      `${FILE} has 1 problem:\n  (top): null: write keys with values, as in deployments/example.yaml`,
    );
  });

  it.each(['111122223333', '000000000000', '012345670123'])('wants the account %s in quotes', (account) => {
    const text = VALID.replace('"111122223333"', account);
    expect(refusal(text).problems).toEqual([
      { path: 'account', value: Number(account), remedy: expect.stringMatching(/12 digits.*in quotes/) },
    ]);
    expect(parseDeployment(text.replace(account, `"${account}"`), FILE).account).toBe(account);
  });

  it.each([
    ['name: siprec\n  account: x\n', 1],
    ['name: siprec\nregions: [a, b\n', 3],
    ['name: siprec\nname: other\n', 2],
    ['name: "siprec\n', 2],
    ['name: siprec\n\taccount: x\n', 2],
  ])('names the line of a mistake in the YAML of %j', (text, line) => {
    const { problems } = refusal(text);
    expect(problems.map(({ path }) => path)).toContain(`line ${line}`);
    for (const { remedy } of problems) expect(remedy).toMatch(/^.+$/);
  });

  it('explains a text that begins with * and was not quoted', () => {
    expect(refusal('name: *siprec\n').message).toMatch(/quote a text that begins with \*/);
  });

  it.each(['198.51.100.0/24', '203.0.113.7/32', '0.0.0.0/0', '10.0.0.0/8', '2001:db8::/32', '::1/128'])(
    'takes the network %s',
    (network) => {
      const text = fileWith({ 'sources[0].networks': [network] });
      expect(parseDeployment(text, FILE).sources[0]?.networks).toEqual([network]);
    },
  );

  it.each([
    ...['198.51.100.7/24', '10.1.0.0/8', '2001:db8::1/32'], // host bits
    ...['198.51.100/32', '198.51/32', '198/32', '0/0', '198.51.100.0', '198.51.100'], // short forms
    ...['010.0.0.0/8', '0x0a.0.0.0/8', '3325256704/24'], // octal, hexadecimal, one number
    ...['198.51.100.0/33', '198.51.100.0/-1', '198.51.100.0/', '198.51.100.256/32', '2001:db8::/129'],
    ...['fe80::%eth0/64', '::ffff:198.51.100.0/120', 'example.com', ''],
  ])('refuses the network %j', (network) => {
    const { problems } = refusal(fileWith({ 'sources[0].networks[1]': network }));
    expect(problems).toEqual([
      { path: 'sources[0].networks[1]', value: network, remedy: expect.stringContaining('198.51.100.0/24') },
    ]);
  });

  it('allows 8 slots behind a service, over all regions, and no more', () => {
    /** Slots in turn in both regions; all serve both services unless `services` says which. */
    const withSlots = (count: number, services?: (index: number) => string[]) => {
      const slots = Array.from({ length: count }, (_, index) => ({
        name: `s${index}`,
        zone: ['us-east-1a', 'us-west-2a'][index % 2],
        callCapacity: 1,
        ...(services && { services: services(index) }),
      }));
      return fileWith({
        'dns.services[1]': { name: 'second', transports: ['udp'] },
        'regions[0].slots': slots.filter((_, index) => index % 2 === 0),
        'regions[1].slots': slots.filter((_, index) => index % 2 === 1),
      });
    };
    expect(slotsOfService(parseDeployment(withSlots(8), FILE), 'second')).toHaveLength(8);
    const remedy = expect.stringMatching(
      /^9 slots share this SRV name and Route 53 answers with 8: add a service and give each slot its own/,
    );
    expect(refusal(withSlots(9)).problems).toEqual([
      { path: 'dns.services[0].name', value: 'siprec', remedy },
      { path: 'dns.services[1].name', value: 'second', remedy },
    ]);
    const divided = parseDeployment(
      withSlots(16, (index) => [index < 8 ? 'siprec' : 'second']),
      FILE,
    );
    const names = (service: string) => slotsOfService(divided, service).map(({ slot }) => slot.name);
    expect(names('siprec')).toEqual(['s0', 's2', 's4', 's6', 's1', 's3', 's5', 's7']);
    expect(names('second')).toHaveLength(8);
  });

  it('refuses a zone in which a name would be longer than DNS allows', () => {
    const zoneOf = (length: number) => `${'a.'.repeat((length - 10) / 2)}example.co`;
    const { problems } = refusal(fileWith({ 'dns.zone': zoneOf(238) }));
    const remedy = `_sip._udp.siprec.${zoneOf(238)} would have 255 characters and DNS allows 253: choose a shorter zone`;
    expect(problems).toEqual([{ path: 'dns.zone', value: zoneOf(238), remedy }]);
    // Two characters less are a name, but the answer with it is too long.
    const [problem] = refusal(fileWith({ 'dns.zone': zoneOf(236) })).problems;
    expect(problem?.path).toBe('dns.services[0].name');
  });

  describe('an answer of DNS by UDP', () => {
    /** 8 slots with names of 20 characters, and the service by this name. */
    const eight = (service: string, transports: string[]) =>
      fileWith({
        'dns.services[0]': { name: service, transports },
        'regions[0].slots': Array.from({ length: 8 }, (_, index) => ({
          name: `s${index}`.padEnd(20, 'x'),
          zone: 'us-east-1a',
          callCapacity: 1,
          services: [service],
        })),
        'regions[1].slots[0].services': ['other'],
        'dns.services[1]': { name: 'other', transports: ['udp'] },
      });

    it('holds 8 slots up to 512 bytes', () => {
      expect(parseDeployment(eight('recording', ['udp', 'tcp']), FILE).regions[0]?.slots).toHaveLength(8);
    });

    it('holds not one byte more, in the longest of the names of a service', () => {
      expect(refusal(eight('recording', ['udp', 'tls', 'tcp'])).problems).toEqual([
        {
          path: 'dns.services[0].name',
          value: 'recording',
          remedy:
            'the answer for _sips._tcp.recording.rec.example.com with its 8 slots would have 513 bytes, and by UDP DNS ' +
            'carries 512: choose shorter slot names or a shorter zone, or divide the slots among more services',
        },
      ]);
    });
  });

  it('shortens a long value', () => {
    expect(refusal(fileWith({ api: 'x'.repeat(500) })).message).toContain(`api: "${'x'.repeat(76)}...: `);
  });
});
