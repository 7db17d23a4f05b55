import { apiSchema } from '../../../core/api-auth.ts';
import { slotsByZoneSchema } from '../../../functions/query-api/fleet.ts';
import { operationList } from '../../../functions/query-api/operations.ts';
import { problemSchema } from '../../../functions/query-api/problems.ts';
import { type Resource, resourcesOf, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const api = (region: string) => {
  const found = synthesized.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template('api');
};

describe.each(['us-east-1', 'us-west-2'])('the query API of %s', (region) => {
  it('is regional, traced, and logs every request for a year', () => {
    const [, rest] = theResource(api(region), 'AWS::ApiGateway::RestApi');
    expect(rest.Properties).toMatchObject({
      Name: 'siprec-query',
      EndpointConfiguration: { Types: ['REGIONAL'] },
    });
    const [logId, log] = theResource(api(region), 'AWS::Logs::LogGroup', 'accesslog');
    const [, stage] = theResource(api(region), 'AWS::ApiGateway::Stage');
    expect(stage.Properties).toMatchObject({ StageName: 'v1', TracingEnabled: true });
    expect(JSON.stringify(stage.Properties.AccessLogSetting.DestinationArn)).toContain(`"Ref":"${logId}"`);
    expect(log).toMatchObject({
      DeletionPolicy: 'RetainExceptOnCreate',
      Properties: { RetentionInDays: 365 },
    });
    // Without this role in the account, API Gateway writes no log at all, and the stage cannot be made.
    expect(stage.DependsOn).toContain(theResource(api(region), 'AWS::ApiGateway::Account')[0]);
  });

  it('takes a hundred requests a second, and keeps what failed for three months', () => {
    const [, stage] = theResource(api(region), 'AWS::ApiGateway::Stage');
    expect(stage.Properties.MethodSettings).toEqual([
      {
        ...{ HttpMethod: '*', ResourcePath: '/*', LoggingLevel: 'ERROR', DataTraceEnabled: false },
        ...{ ThrottlingRateLimit: 100, ThrottlingBurstLimit: 200 },
      },
    ]);
    const [id, log] = theResource(api(region), 'AWS::Logs::LogGroup', 'errorlog');
    expect(log.Properties).toMatchObject({
      // As API Gateway would call it itself.
      LogGroupName: {
        'Fn::Join': ['', ['API-Gateway-Execution-Logs_', { Ref: expect.stringMatching(/^api/) }, '/v1']],
      },
      RetentionInDays: 90,
    });
    expect(stage.DependsOn).toContain(id);
  });

  it('has every operation, and leads all else to the function as well, for those who sign by IAM', () => {
    const resources = resourcesOf(api(region), 'AWS::ApiGateway::Resource');
    const pathOf = (id: string): string => {
      const { ParentId, PathPart } = (resources[id] as Resource).Properties;
      return `${ParentId.Ref ? pathOf(ParentId.Ref) : ''}/${PathPart}`;
    };
    const [functionId] = theResource(api(region), 'AWS::Lambda::Function');
    const methods = Object.values(resourcesOf(api(region), 'AWS::ApiGateway::Method')).map(
      ({ Properties }) => ({
        properties: Properties,
        name: `${Properties.HttpMethod} ${Properties.ResourceId.Ref ? pathOf(Properties.ResourceId.Ref) : '/'}`,
      }),
    );
    const operations = operationList();
    expect(methods.map(({ name }) => name).sort()).toEqual(
      ['ANY /', 'ANY /{proxy+}', ...operations.map(({ method, path }) => `${method} ${path}`)].sort(),
    );
    const isPublic = operations
      .filter(({ access }) => access === 'public')
      .map(({ method, path }) => `${method} ${path}`);
    for (const { name, properties } of methods) {
      expect(properties).toMatchObject({
        AuthorizationType: isPublic.includes(name) ? 'NONE' : 'AWS_IAM',
        Integration: { Type: 'AWS_PROXY', IntegrationHttpMethod: 'POST' },
      });
      expect(JSON.stringify(properties.Integration.Uri)).toContain(functionId);
    }
    const allowed = Object.values(resourcesOf(api(region), 'AWS::Lambda::Permission'));
    expect(allowed).toHaveLength(1);
  });

  it('is told what it needs to know of the deployment', () => {
    const [, { Properties }] = theResource(api(region), 'AWS::Lambda::Function');
    const variables = Properties.Environment.Variables;
    expect(variables).toMatchObject({
      SIPREC_FLEET_TABLE: 'siprec-fleet',
      SIPREC_RECORDINGS_BUCKET: `siprec-recordings-111122223333-${region}`,
    });
    expect(apiSchema.parse(JSON.parse(variables.SIPREC_API_AUTH))).toEqual({ auth: 'iam' });
    const zones = slotsByZoneSchema.parse(JSON.parse(variables.SIPREC_SLOTS_BY_ZONE));
    expect(Object.keys(zones)).toEqual(['a', 'b', 'c'].map((zone) => region + zone));
    expect(Object.values(zones).flat()).toHaveLength(3);
    expect(JSON.parse(variables.SIPREC_REPLICATION_PAIRS)).toHaveLength(2);
  });

  it('answers with problem documents where API Gateway itself answers', () => {
    const responses = Object.values(resourcesOf(api(region), 'AWS::ApiGateway::GatewayResponse'));
    expect(responses.map(({ Properties }) => Properties.ResponseType)).toEqual(
      expect.arrayContaining([
        'MISSING_AUTHENTICATION_TOKEN',
        'ACCESS_DENIED',
        'WAF_FILTERED',
        'DEFAULT_4XX',
        'DEFAULT_5XX',
      ]),
    );
    for (const { Properties } of responses) {
      expect(Properties.ResponseParameters).toMatchObject({
        'gatewayresponse.header.Content-Type': "'application/problem+json'",
      });
      const body = JSON.parse(Properties.ResponseTemplates['application/json']);
      expect(problemSchema.partial({ status: true }).parse(body)).toEqual(body);
      expect(body.status).toEqual(Properties.StatusCode && Number(Properties.StatusCode));
    }
  });

  it('may read index and fleet of its region and the recordings of all, and write only holds, requests and the audit', () => {
    const [, policy] = theResource(api(region), 'AWS::IAM::Policy');
    const tableArn =
      region === 'us-east-1'
        ? { 'Fn::GetStackOutput': expect.objectContaining({ StackName: 'siprec-index', Region: region }) }
        : `arn:aws:dynamodb:${region}:111122223333:table/siprec-index`;
    const indexArns = ['byTenant', 'byTime'].map((name) =>
      region === 'us-east-1'
        ? { 'Fn::Join': ['', [tableArn, `/index/${name}`]] }
        : `${tableArn}/index/${name}`,
    );
    const regions = ['us-east-1', 'us-west-2'];
    expect(policy.Properties.PolicyDocument.Statement).toEqual([
      { Action: ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'], Effect: 'Allow', Resource: '*' },
      {
        Action: ['dynamodb:GetItem', 'dynamodb:Query'],
        Effect: 'Allow',
        Resource: [tableArn, ...indexArns],
      },
      {
        Action: ['dynamodb:ConditionCheckItem', 'dynamodb:PutItem'],
        Condition: {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['REC#*', 'CALL#*', 'DUE#*', 'AUDIT#*'] },
        },
        Effect: 'Allow',
        Resource: tableArn,
      },
      {
        Action: 'dynamodb:GetItem',
        Effect: 'Allow',
        Resource: `arn:aws:dynamodb:${region}:111122223333:table/siprec-fleet`,
      },
      {
        Action: 's3:ListBucket',
        Effect: 'Allow',
        Resource: `arn:aws:s3:::siprec-recordings-111122223333-${region}`,
      },
      {
        Action: 's3:GetObject',
        Effect: 'Allow',
        Resource: regions.map((name) => `arn:aws:s3:::siprec-recordings-111122223333-${name}/rec/*/*`),
      },
      {
        Action: 'kms:Decrypt',
        Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/siprec-recordings' } },
        Effect: 'Allow',
        Resource: regions.map((name) => `arn:aws:kms:${name}:111122223333:key/*`),
      },
    ]);
  });
});

describe('the query API with an OpenID provider', () => {
  const auth = {
    oidc: { issuer: 'https://id.example.com', audience: 'siprec', tenantClaim: 't', roleClaim: 'r' },
  };
  let oidc: Synthesized;
  beforeAll(() => {
    oidc = synthesizeExample((example) => ({ ...example, api: { auth } }));
  });
  afterAll(() => oidc.remove());

  it('leads every request to the function, which checks the token and may keep the keys of the provider', () => {
    const template = oidc.regions['us-west-2']?.template('api');
    if (!template) throw new Error('no template');
    for (const { Properties } of Object.values(resourcesOf(template, 'AWS::ApiGateway::Method')))
      expect(Properties.AuthorizationType).toBe('NONE');
    const [, { Properties }] = theResource(template, 'AWS::Lambda::Function');
    expect(JSON.parse(Properties.Environment.Variables.SIPREC_API_AUTH)).toEqual({ auth });
    const [, policy] = theResource(template, 'AWS::IAM::Policy');
    expect(policy.Properties.PolicyDocument.Statement).toContainEqual({
      Action: 'dynamodb:PutItem',
      Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['KEYS#*'] } },
      Effect: 'Allow',
      Resource: 'arn:aws:dynamodb:us-west-2:111122223333:table/siprec-index',
    });
  });
});

describe('a list of callers', () => {
  it('that does not fit into the function is refused, with the remedy', () => {
    const callers = Array.from({ length: 60 }, (_, index) => ({
      principal: `arn:aws:iam::111122223333:role/supervisors-${index}`,
      tenants: ['acme'],
      roles: ['search' as const],
    }));
    expect(() => synthesizeExample((example) => ({ ...example, api: { auth: 'iam', callers } }))).toThrow(
      /api\.callers takes \d+ bytes, and the function has room for 3000: give callers/,
    );
  });
});
