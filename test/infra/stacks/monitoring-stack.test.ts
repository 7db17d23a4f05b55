/** Alarms and dashboards: what they watch is really told, and each alarm has its section in the runbook. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RegionMetrics } from '../../../infra/monitoring/metrics.ts';
import { functionsOf } from '../../../infra/monitoring/platform-alarms.ts';
import { emittedMetrics } from '../monitoring/emitted.ts';
import { resourcesOf, STACKS, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

const RUNBOOK = readFileSync(join(import.meta.dirname, '../../../docs/runbook.md'), 'utf8');
const REGIONS = ['us-east-1', 'us-west-2'] as const;

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample((example) => ({
    ...example,
    alarms: { email: ['ops@example.com'], https: ['https://events.example.com/aws'] },
    api: { ...example.api, domain: 'api.rec.example.com' },
  }));
});
afterAll(() => synthesized.remove());

const regionOf = (region: string) => {
  const found = synthesized.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found;
};
const template = (region: string) => regionOf(region).template('monitoring');

interface WatchedMetric {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
  region: string;
}

interface MetricStat {
  Namespace: string;
  MetricName: string;
  Dimensions?: { Name: string; Value: string }[];
}

/** Of all stacks: that of the certificate is where the certificate is. */
const alarms = (region: string) =>
  STACKS.flatMap((stack) =>
    Object.values(resourcesOf(regionOf(region).template(stack), 'AWS::CloudWatch::Alarm')),
  ).map(({ Properties }) => Properties);

/** What the alarms of a region watch. */
const alarmed = (region: string): WatchedMetric[] =>
  alarms(region)
    .flatMap((properties): MetricStat[] =>
      properties.Metrics
        ? properties.Metrics.flatMap(({ MetricStat }: { MetricStat?: { Metric: MetricStat } }) =>
            MetricStat ? [MetricStat.Metric] : [],
          )
        : [properties as unknown as MetricStat],
    )
    .map(({ Namespace, MetricName, Dimensions = [] }) => ({
      namespace: Namespace,
      name: MetricName,
      dimensions: Object.fromEntries(Dimensions.map(({ Name, Value }) => [Name, Value])),
      region,
    }));

/** What the dashboards of a region's stack show. */
function shown(region: string): WatchedMetric[] {
  return Object.values(resourcesOf(template(region), 'AWS::CloudWatch::Dashboard')).flatMap((dashboard) => {
    const { widgets } = JSON.parse(textOf(dashboard.Properties.DashboardBody, region)) as {
      widgets: { properties: { metrics?: unknown[][]; region?: string } }[];
    };
    return widgets.flatMap(({ properties }) =>
      (properties.metrics ?? []).map((metric) => {
        const options = metric.at(-1) as { region?: string };
        const [namespace, name, ...rest] = metric.slice(0, -1) as string[];
        const dimensions = Object.fromEntries(
          Array.from({ length: rest.length / 2 }, (_, at) => [rest[2 * at], rest[2 * at + 1]]),
        );
        return {
          namespace,
          name,
          dimensions,
          region: options.region ?? properties.region ?? region,
        } as WatchedMetric;
      }),
    );
  });
}

/** A text with references in it, as CloudFormation would put it together. */
function textOf(body: string | { 'Fn::Join': [string, unknown[]] }, region: string): string {
  if (typeof body === 'string') return body;
  const [separator, parts] = body['Fn::Join'];
  return parts
    .map((part) =>
      typeof part === 'string' ? part : JSON.stringify(part).includes('Region') ? region : 'arn',
    )
    .join(separator);
}

const isOurs = ({ namespace }: WatchedMetric): boolean => namespace.startsWith('SiprecHa');

describe.each(REGIONS)('what is watched in %s', (region) => {
  it('is really told, with these dimensions', async () => {
    const emitted = new Map<string, Set<string>>();
    for (const { name } of synthesized.deployment.regions) {
      const points = await emittedMetrics(synthesized.deployment, name);
      emitted.set(
        name,
        new Set(
          points.flatMap((point) =>
            point.dimensions.map((set) => [point.namespace, point.name, JSON.stringify(set)].join(' ')),
          ),
        ),
      );
    }
    const watched = [...alarmed(region), ...shown(region)].filter(isOurs);
    expect(watched.length).toBeGreaterThan(80);
    const untold = watched.filter(
      (metric) =>
        !emitted
          .get(metric.region)
          ?.has([metric.namespace, metric.name, JSON.stringify(metric.dimensions)].join(' ')),
    );
    expect(untold).toEqual([]);
  });

  it('of AWS services is of something that the other stacks make', () => {
    const made = new Set(
      STACKS.flatMap((stack) =>
        Object.values(regionOf('us-east-1').template(stack).toJSON().Resources ?? {}),
      ).flatMap((resource) => {
        const { Properties = {} } = resource as { Properties?: Record<string, unknown> };
        return ['FunctionName', 'QueueName', 'TableName', 'Name', 'StageName'].flatMap((key) =>
          typeof Properties[key] === 'string' ? [`${key}=${Properties[key]}`] : [],
        );
      }),
    );
    const names: Record<string, string> = { ApiName: 'Name', Stage: 'StageName', WebACL: 'Name' };
    const [certificate] = theResource(
      regionOf(region).template('edge'),
      'AWS::CertificateManager::Certificate',
    );
    const watched = [...alarmed(region), ...shown(region)].filter((metric) => !isOurs(metric));
    expect(watched.length).toBeGreaterThan(20);
    for (const { dimensions } of watched) {
      const { CertificateArn, Region = region, Rule = 'ALL', ...named } = dimensions;
      expect({ CertificateArn, Region, Rule }).toEqual({
        CertificateArn: CertificateArn && { Ref: certificate },
        Region: region,
        Rule: 'ALL',
      });
      for (const [name, value] of Object.entries(named))
        expect(made).toContain(`${names[name] ?? name}=${value}`);
    }
  });

  it('leaves out no function', () => {
    const made = STACKS.flatMap((stack) =>
      Object.values(resourcesOf(regionOf(region).template(stack), 'AWS::Lambda::Function')).flatMap(
        // Without a name: CDK's own, at work only while a stack is deployed.
        ({ Properties }) => Properties.FunctionName?.replace('siprec-', '') ?? [],
      ),
    );
    expect(functionsOf(new RegionMetrics(synthesized.deployment, region)).toSorted()).toEqual(
      made.toSorted(),
    );
  });
});

describe('the runbook', () => {
  const anchor = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-');
  const sections = () =>
    RUNBOOK.split(/^## /m)
      .slice(1)
      .map((text) => {
        const [heading = '', ...lines] = text.split('\n');
        return { section: anchor(heading), text: lines.join('\n') };
      });
  const sectionOf = ({ AlarmDescription }: Record<string, string>) =>
    /docs\/runbook\.md#([a-z-]+)$/.exec(AlarmDescription ?? '')?.[1];

  it('has a section for each alarm, and no alarm for nothing', () => {
    const named = new Set(REGIONS.flatMap((region) => alarms(region).map(sectionOf)));
    const written = sections().flatMap(({ section, text }) =>
      text.includes('**What it means.**') ? [section] : [],
    );
    expect(written.toSorted()).toEqual([...named].toSorted());
  });

  it('says of each alarm what it means, how to look, and what to do', () => {
    for (const { section, text } of sections().filter(({ text }) => text.includes('**What it means.**')))
      for (const part of ['**What it means.**', '**How to look.**', '**What to do.**'])
        expect(`${section}: ${text}`).toContain(part);
  });
});

describe.each(REGIONS)('alarms in %s', (region) => {
  it('have names of the deployment, a severity, and tell its topic when they begin and when they are over', () => {
    const topics = resourcesOf(template(region), 'AWS::SNS::Topic');
    const names = new Set<string>();
    for (const { AlarmName, AlarmDescription, AlarmActions, OKActions } of alarms(region)) {
      expect(AlarmName).toMatch(/^siprec-[A-Za-z0-9-]+$/);
      names.add(AlarmName);
      const severity = /^(page|ticket): /.exec(AlarmDescription)?.[1];
      const [action] = AlarmActions;
      // By its resource, or by its name from another stack.
      const topic = topics[action.Ref]?.Properties.TopicName ?? /:([\w-]+)$/.exec(action)?.[1];
      expect(topic).toBe(`siprec-${severity}`);
      expect(OKActions).toEqual(AlarmActions);
    }
    expect(names.size).toBe(alarms(region).length);
    expect(names.size).toBeGreaterThan(40);
  });

  it('that mean silence are alarms without data; the others are not', () => {
    const silent = alarms(region)
      .filter(({ TreatMissingData }) => TreatMissingData === 'breaching')
      .map(({ AlarmName }) => AlarmName.replace(/-us[ew]\d-\d$/, ''));
    expect([...new Set(silent)].toSorted()).toEqual([
      'siprec-assurance-silent',
      'siprec-no-healthy-slot',
      'siprec-slot-silent',
      'siprec-steering-silent',
    ]);
  });

  it('reach whom the deployment file names, encrypted with a key that CloudWatch may use', () => {
    const subscriptions = Object.values(resourcesOf(template(region), 'AWS::SNS::Subscription'));
    expect(
      subscriptions.map(({ Properties }) => [Properties.Protocol, Properties.Endpoint]).toSorted(),
    ).toEqual([
      ['email', 'ops@example.com'],
      ['email', 'ops@example.com'],
      ['https', 'https://events.example.com/aws'],
      ['https', 'https://events.example.com/aws'],
    ]);
    const [keyId, key] = theResource(template(region), 'AWS::KMS::Key');
    for (const { Properties } of Object.values(resourcesOf(template(region), 'AWS::SNS::Topic')))
      expect(JSON.stringify(Properties.KmsMasterKeyId)).toContain(keyId);
    expect(JSON.stringify(key.Properties.KeyPolicy)).toContain('cloudwatch.amazonaws.com');
  });
});

describe('dashboards', () => {
  it('are one of each region, and one over all, which the first region makes', () => {
    const names = REGIONS.map((region) =>
      Object.values(resourcesOf(template(region), 'AWS::CloudWatch::Dashboard'))
        .map(({ Properties }) => Properties.DashboardName)
        .toSorted(),
    );
    expect(names).toEqual([['siprec', 'siprec-us-east-1'], ['siprec-us-west-2']]);
  });
});

describe('the stack', () => {
  it('holds no other one: it imports nothing, and nobody imports from it', () => {
    for (const { assembly } of Object.values(synthesized.regions))
      for (const { stackName, template: found } of assembly.stacks) {
        const text = JSON.stringify(found);
        if (stackName.endsWith('-monitoring')) {
          expect(text).not.toContain('Fn::ImportValue');
          expect(found.Outputs ?? {}).toEqual({});
        }
      }
  });
});
