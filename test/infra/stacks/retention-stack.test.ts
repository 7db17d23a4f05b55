/** Who may delete recordings, and who may change what says that they must not be. */
import { RECORDING_BUCKETS, RETENTION } from '../../../functions/shared/environment.ts';
import { resourcesOf, STACKS, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample((example) => ({
    ...example,
    retention: { days: 30, tenants: { acme: 365 }, objectLock: 'governance' },
  }));
});
afterAll(() => synthesized.remove());

interface Statement {
  Action: string | string[];
  Resource: unknown;
  Condition?: { 'ForAllValues:StringLike'?: { 'dynamodb:LeadingKeys': string[] } };
}

const REGIONS = ['us-east-1', 'us-west-2'];
const regionOf = (region: string) => {
  const found = synthesized.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found;
};
const template = (region: string) => regionOf(region).template('retention');
const bucket = (region: string) => `arn:aws:s3:::siprec-recordings-111122223333-${region}`;

/** Every statement of every policy of a region, with the policy's stack and id. */
const statementsOf = (region: string): { policy: string; statement: Statement }[] =>
  STACKS.flatMap((stack) =>
    Object.entries(resourcesOf(regionOf(region).template(stack), 'AWS::IAM::Policy')).flatMap(
      ([id, { Properties }]) =>
        (Properties.PolicyDocument.Statement as Statement[]).map((statement) => ({
          policy: `${stack}/${id}`,
          statement,
        })),
    ),
  );
const allows = ({ Action }: Statement, action: RegExp): boolean =>
  [Action].flat().some((name) => action.test(name));

describe.each(REGIONS)('the end of recordings in %s', (region) => {
  it('has one role that may delete objects: of recordings made here, in every region', () => {
    const deleting = statementsOf(region).filter(({ statement }) =>
      allows(statement, /^s3:.*(Delete|Bypass)/),
    );
    expect(deleting).toEqual([
      {
        policy: expect.stringMatching(/^retention\/expirerecordings/),
        statement: {
          Action: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
          Effect: 'Allow',
          Resource: REGIONS.flatMap((name) =>
            ['deletions', 'rec'].map((root) => `${bucket(name)}/${root}/${region}/*`),
          ),
        },
      },
    ]);
    const [, role] = theResource(template(region), 'AWS::IAM::Role', 'expirerecordingsrole');
    expect(role.Properties.RoleName).toBe(`siprec-expire-recordings-${region}`);
    const [, policy] = theResource(template(region), 'AWS::IAM::Policy');
    const [roleId] = theResource(template(region), 'AWS::IAM::Role', 'expirerecordingsrole');
    expect(policy.Properties.Roles).toEqual([{ Ref: roleId }]);
  });

  it('lets nobody change or delete the audit, and only those write it who must', () => {
    const writers = statementsOf(region).filter(({ statement: { Action, Condition } }) => {
      const isWrite = allows({ Action, Resource: '' }, /^dynamodb:(Put|Update|Delete|BatchWrite)/);
      const keys = Condition?.['ForAllValues:StringLike']?.['dynamodb:LeadingKeys'];
      return isWrite && (keys?.some((key) => key.startsWith('AUDIT#')) ?? false);
    });
    expect(writers.map(({ policy, statement: { Action } }) => [policy.split('/')[0], Action])).toEqual([
      ['retention', 'dynamodb:PutItem'],
      ['api', ['dynamodb:ConditionCheckItem', 'dynamodb:PutItem']],
    ]);
    // Nobody writes the index without saying which partitions.
    for (const { policy, statement } of statementsOf(region))
      if (/^(index|replication|retention|api)\//.test(policy))
        if (allows(statement, /^dynamodb:(Put|Update|Delete|BatchWrite)/))
          expect({ policy, condition: JSON.stringify(statement.Condition) }).toEqual({
            policy,
            condition: expect.stringContaining('dynamodb:LeadingKeys'),
          });
  });

  it('is attended to every minute, by one at a time', () => {
    const [functionId, { Properties }] = theResource(template(region), 'AWS::Lambda::Function');
    expect(Properties).toMatchObject({ ReservedConcurrentExecutions: 1, Timeout: 300 });
    expect(JSON.parse(Properties.Environment.Variables[RETENTION])).toEqual({
      days: 30,
      tenants: { acme: 365 },
      objectLock: 'governance',
    });
    expect(JSON.parse(Properties.Environment.Variables[RECORDING_BUCKETS])).toEqual(
      Object.fromEntries(REGIONS.map((name) => [name, `siprec-recordings-111122223333-${name}`])),
    );
    const [, rule] = theResource(template(region), 'AWS::Events::Rule');
    expect(rule.Properties).toMatchObject({
      ScheduleExpression: 'rate(1 minute)',
      Targets: [{ Arn: { 'Fn::GetAtt': [functionId, 'Arn'] } }],
    });
  });

  it('asks the index of every region, and writes that of its own', () => {
    const own = statementsOf(region).filter(({ policy }) => policy.startsWith('retention/'));
    const [read] = own.filter(({ statement }) => allows(statement, /^dynamodb:Query/));
    for (const name of REGIONS.filter((other) => other !== region))
      expect(read?.statement.Resource).toContainEqual(
        `arn:aws:dynamodb:${name}:111122223333:table/siprec-index`,
      );
    for (const { statement } of own.filter(({ statement }) => allows(statement, /^dynamodb:(Put|Delete)/)))
      for (const name of REGIONS.filter((other) => other !== region))
        expect(JSON.stringify(statement.Resource)).not.toContain(`dynamodb:${name}`);
  });

  it('has buckets with Object Lock, where the deployment file wants it', () => {
    const [, { Properties }] = theResource(
      regionOf(region).template('storage'),
      'AWS::S3::Bucket',
      'recordings',
    );
    expect(Properties.ObjectLockEnabled).toBe(true);
    expect(Properties).not.toHaveProperty('ObjectLockConfiguration'); // each object has its own
  });
});

it('refuses more tenants than a function can be told of, with the remedy', () => {
  const tenants = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`tenant-${i}`, 100]));
  expect(() => synthesizeExample((example) => ({ ...example, retention: { days: 30, tenants } }))).toThrow(
    /retention takes \d+ bytes.*name the others only/,
  );
});
