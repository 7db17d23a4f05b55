/** A firewall (AWS WAF) before a region's API: what is refused before the function sees it. */
import { Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnLoggingConfiguration, CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { apiName, firewallLogGroupName } from '../../core/names.ts';

export interface ApiFirewallProps {
  deployment: Deployment;
  stageArn: string;
}

/** From one address in five minutes: 20 a second. Callers may share an address; a programme that reads page after page stays below. */
const REQUESTS_PER_ADDRESS = 6_000;

/** AWS's rules, with those that would refuse what the API means to allow: they count only. */
const MANAGED_RULES: { name: string; countOnly: string[] }[] = [
  {
    name: 'AWSManagedRulesCommonRuleSet',
    countOnly: [
      'SizeRestrictions_QUERYSTRING', // refuses more than 2 kB; a cursor carries its query, in which texts may be long
      'NoUserAgent_HEADER', // programs need not have a name
    ],
  },
  { name: 'AWSManagedRulesKnownBadInputsRuleSet', countOnly: [] },
];

/** The answer to who asks too often, as the API itself would give it (`gateway-problems.ts`). */
const TOO_MANY = {
  type: 'about:blank',
  title: 'Too many requests',
  status: 429,
  detail: 'too many requests from one address in five minutes: ask more slowly',
};
const TOO_MANY_KEY = 'too-many-requests';

export class ApiFirewall extends Construct {
  constructor(scope: Construct, id: string, { deployment, stageArn }: ApiFirewallProps) {
    super(scope, id);
    const acl = new CfnWebACL(this, 'acl', {
      name: apiName(deployment),
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      customResponseBodies: {
        [TOO_MANY_KEY]: { contentType: 'APPLICATION_JSON', content: JSON.stringify(TOO_MANY) },
      },
      rules: [this.rateRule(), ...MANAGED_RULES.map((rules, index) => this.managedRule(rules, index + 1))],
      visibilityConfig: visibility(apiName(deployment)),
    });
    new CfnWebACLAssociation(this, 'association', { resourceArn: stageArn, webAclArn: acl.attrArn });
    this.log(deployment, acl);
  }

  private rateRule(): CfnWebACL.RuleProperty {
    return {
      name: 'rate',
      priority: 0,
      statement: {
        rateBasedStatement: { limit: REQUESTS_PER_ADDRESS, evaluationWindowSec: 300, aggregateKeyType: 'IP' },
      },
      action: {
        block: {
          customResponse: {
            responseCode: 429,
            customResponseBodyKey: TOO_MANY_KEY,
            responseHeaders: [{ name: 'Retry-After', value: '60' }],
          },
        },
      },
      visibilityConfig: visibility('rate'),
    };
  }

  private managedRule(
    { name, countOnly }: (typeof MANAGED_RULES)[number],
    priority: number,
  ): CfnWebACL.RuleProperty {
    return {
      name,
      priority,
      statement: {
        managedRuleGroupStatement: {
          vendorName: 'AWS',
          name,
          ruleActionOverrides: countOnly.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
        },
      },
      overrideAction: { none: {} },
      visibilityConfig: visibility(name),
    };
  }

  /** What was refused or counted; never what was asked, for queries hold telephone numbers and names, and never who signed how. */
  private log(deployment: Deployment, acl: CfnWebACL): void {
    const logGroup = new LogGroup(this, 'log', {
      logGroupName: firewallLogGroupName(deployment),
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    new CfnLoggingConfiguration(this, 'logging', {
      resourceArn: acl.attrArn,
      // WAF does not take the ARN with `:*` that CloudFormation has.
      logDestinationConfigs: [
        Stack.of(this).formatArn({
          service: 'logs',
          resource: Fn.join(':', ['log-group', logGroup.logGroupName]),
        }),
      ],
      redactedFields: [{ queryString: {} }, { singleHeader: { Name: 'authorization' } }],
      loggingFilter: {
        DefaultBehavior: 'DROP',
        Filters: [
          {
            Behavior: 'KEEP',
            Requirement: 'MEETS_ANY',
            Conditions: ['BLOCK', 'COUNT'].map((Action) => ({ ActionCondition: { Action } })),
          },
        ],
      },
    });
  }
}

/** Metrics, and no samples: a sample would keep whole requests where only some may look. */
const visibility = (metricName: string): CfnWebACL.VisibilityConfigProperty => ({
  metricName,
  cloudWatchMetricsEnabled: true,
  sampledRequestsEnabled: false,
});
