/** What is before the API: the firewall of each region, and the domain that regions share without needing each other. */
import type { Deployment } from '../../../core/deployment.ts';
import { resourcesOf, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

const REGIONS = ['us-east-1', 'us-west-2'];
const DOMAIN = 'api.rec.example.com';

const templateOf = ({ regions }: Synthesized, region: string, stack: 'edge' | 'dns' = 'edge') => {
  const found = regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template(stack);
};

describe('without a domain', () => {
  let synthesized: Synthesized;
  beforeAll(() => {
    synthesized = synthesizeExample();
  });
  afterAll(() => synthesized.remove());

  it.each(REGIONS)('the API of %s has a firewall before its stage, and no certificate', (region) => {
    const template = templateOf(synthesized, region);
    const [aclId] = theResource(template, 'AWS::WAFv2::WebACL');
    const [, { Properties }] = theResource(template, 'AWS::WAFv2::WebACLAssociation');
    expect(Properties.WebACLArn).toEqual({ 'Fn::GetAtt': [aclId, 'Arn'] });
    const [prefix, api, suffix] = Properties.ResourceArn['Fn::Join'][1];
    expect([prefix, suffix]).toEqual([`arn:aws:apigateway:${region}::/restapis/`, '/stages/v1']);
    expect(api['Fn::GetStackOutput']).toMatchObject({ StackName: 'siprec-api', Region: region });
    expect(resourcesOf(template, 'AWS::CertificateManager::Certificate')).toEqual({});
  });

  it.each(REGIONS)('the firewall of %s limits each address and refuses what is known to be bad', (region) => {
    const [, { Properties }] = theResource(templateOf(synthesized, region), 'AWS::WAFv2::WebACL');
    expect(Properties).toMatchObject({ Scope: 'REGIONAL', DefaultAction: { Allow: {} } });
    const [rate, ...managed] = Properties.Rules;
    expect(rate).toMatchObject({
      Statement: { RateBasedStatement: { AggregateKeyType: 'IP', Limit: 6000, EvaluationWindowSec: 300 } },
      Action: { Block: { CustomResponse: { ResponseCode: 429 } } },
    });
    const body = Properties.CustomResponseBodies['too-many-requests'];
    expect(JSON.parse(body.Content)).toMatchObject({ title: 'Too many requests', status: 429 });
    expect(
      managed.map(({ Statement, OverrideAction }: (typeof managed)[number]) => ({
        name: Statement.ManagedRuleGroupStatement.Name,
        OverrideAction,
      })),
    ).toEqual(
      ['AWSManagedRulesCommonRuleSet', 'AWSManagedRulesKnownBadInputsRuleSet'].map((name) => ({
        name,
        OverrideAction: { None: {} },
      })),
    );
    const counted = managed[0].Statement.ManagedRuleGroupStatement.RuleActionOverrides;
    expect(counted).toEqual(
      ['SizeRestrictions_QUERYSTRING', 'NoUserAgent_HEADER'].map((Name) => ({
        Name,
        ActionToUse: { Count: {} },
      })),
    );
  });

  it.each(REGIONS)(
    "the firewall's log of %s holds no numbers: neither queries nor samples are kept",
    (region) => {
      const template = templateOf(synthesized, region);
      const [, logging] = theResource(template, 'AWS::WAFv2::LoggingConfiguration');
      expect(logging.Properties.RedactedFields).toEqual([
        { QueryString: {} },
        { SingleHeader: { Name: 'authorization' } },
      ]);
      const [, log] = theResource(template, 'AWS::Logs::LogGroup');
      expect(log.Properties).toMatchObject({
        LogGroupName: 'aws-waf-logs-siprec-query',
        RetentionInDays: 90,
      });
      const [, acl] = theResource(template, 'AWS::WAFv2::WebACL');
      for (const { VisibilityConfig } of [acl.Properties, ...acl.Properties.Rules])
        expect(VisibilityConfig.SampledRequestsEnabled).toBe(false);
    },
  );
});

describe.each([
  ['a zone of its own', {}],
  ['an existing zone', { hostedZoneId: 'Z0123456789ABC' }],
])('a domain in %s', (_, zone: Partial<Deployment['dns']>) => {
  let synthesized: Synthesized;
  beforeAll(() => {
    synthesized = synthesizeExample((example) => ({
      ...example,
      dns: { ...example.dns, ...zone },
      api: { ...example.api, domain: DOMAIN },
    }));
  });
  afterAll(() => synthesized.remove());

  it.each(REGIONS)('leads to the stage of %s, with a certificate of that region', (region) => {
    const template = templateOf(synthesized, region);
    const [certificateId, certificate] = theResource(template, 'AWS::CertificateManager::Certificate');
    expect(certificate.Properties).toMatchObject({ DomainName: DOMAIN, ValidationMethod: 'DNS' });
    const [domainId, domain] = theResource(template, 'AWS::ApiGateway::DomainName');
    expect(domain.Properties).toMatchObject({
      DomainName: DOMAIN,
      EndpointConfiguration: { Types: ['REGIONAL'] },
      RegionalCertificateArn: { Ref: certificateId },
      SecurityPolicy: 'TLS_1_2',
    });
    const [, mapping] = theResource(template, 'AWS::ApiGateway::BasePathMapping');
    expect(mapping.Properties).toMatchObject({ DomainName: { Ref: domainId }, Stage: 'v1' });
    // Where CloudFormation knows the zone, it makes the record that ACM asks for; elsewhere that record is there already.
    const knowsZone = zone.hostedZoneId !== undefined || region === 'us-east-1';
    const [option] = certificate.Properties.DomainValidationOptions ?? [];
    expect(option?.HostedZoneId).toEqual(
      knowsZone ? (zone.hostedZoneId ?? { 'Fn::GetStackOutput': expect.anything() }) : undefined,
    );
  });

  it.each(REGIONS)(
    'is answered by %s while its API is well, and by no reference to another region',
    (region) => {
      const template = templateOf(synthesized, region);
      const [checkId, check] = theResource(template, 'AWS::Route53::HealthCheck');
      expect(check.Properties.HealthCheckConfig).toMatchObject({
        Type: 'HTTPS',
        Port: 443,
        ResourcePath: '/v1/health',
        EnableSNI: true,
      });
      expect(JSON.stringify(check.Properties.HealthCheckConfig.FullyQualifiedDomainName)).toContain(
        `.execute-api.${region}.`,
      );
      const [domainId] = theResource(template, 'AWS::ApiGateway::DomainName');
      const [, record] = theResource(template, 'AWS::Route53::RecordSet');
      expect(record.Properties).toMatchObject({
        Name: DOMAIN,
        Type: 'A',
        SetIdentifier: region,
        Region: region,
        HealthCheckId: { 'Fn::GetAtt': [checkId, 'HealthCheckId'] },
        AliasTarget: {
          DNSName: { 'Fn::GetAtt': [domainId, 'RegionalDomainName'] },
          HostedZoneId: { 'Fn::GetAtt': [domainId, 'RegionalHostedZoneId'] },
          EvaluateTargetHealth: true,
        },
      });
      const other = REGIONS.find((name) => name !== region) as string;
      expect(JSON.stringify(template.toJSON())).not.toContain(other);
    },
  );
});
