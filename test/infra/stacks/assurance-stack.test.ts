import { SLOTS } from '../../../functions/assure-recordings/constants.ts';
import { FLEET_TABLE, INDEX_TABLE } from '../../../functions/shared/environment.ts';
import { type Synthesized, synthesizeExample, theResource } from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

describe.each(['us-east-1', 'us-west-2'])('assure-recordings in %s', (region) => {
  const template = () => {
    const found = synthesized.regions[region];
    if (!found) throw new Error(`no region ${region}`);
    return found.template('assurance');
  };

  it('knows its slots and both tables, and runs alone every five minutes', () => {
    const [id, { Properties }] = theResource(template(), 'AWS::Lambda::Function');
    const slots = synthesized.deployment.regions.find(({ name }) => name === region)?.slots;
    expect(Properties.Environment.Variables).toMatchObject({
      [FLEET_TABLE]: 'siprec-fleet',
      [INDEX_TABLE]: 'siprec-index',
      [SLOTS]: JSON.stringify(slots?.map(({ name }) => name)),
    });
    expect(Properties.ReservedConcurrentExecutions).toBe(1);
    expect(theResource(template(), 'AWS::Events::Rule')[1].Properties).toMatchObject({
      ScheduleExpression: 'rate(5 minutes)',
      Targets: [{ Arn: { 'Fn::GetAtt': [id, 'Arn'] } }],
    });
  });

  it('may read the ledger and count in the index, and write its own items alone', () => {
    const { Statement } = theResource(template(), 'AWS::IAM::Policy')[1].Properties.PolicyDocument;
    const rights = (Statement as { Action: string | string[]; Resource: unknown; Condition?: unknown }[])
      .filter(({ Action }) => JSON.stringify(Action).includes('dynamodb:'))
      .map(({ Action, Resource, Condition }) => [
        [Action].flat().join(),
        JSON.stringify(Resource).match(/table\/[^"]+/)?.[0],
        Condition,
      ]);
    expect(rights).toEqual([
      [
        'dynamodb:PutItem',
        'table/siprec-fleet',
        { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['ASSURED#*'] } },
      ],
      ['dynamodb:GetItem,dynamodb:Scan', 'table/siprec-fleet', undefined],
      ['dynamodb:Query', 'table/siprec-index/index/byTime', undefined],
    ]);
  });
});
