/** cdk-nag's pack AwsSolutions over the example: each finding is acknowledged with its reason, and nothing is that is not found. */
import { AwsSolutionsChecks } from 'cdk-nag';
import { type AcknowledgedFinding, NAG_ACKNOWLEDGEMENTS } from '../../infra/acknowledged-findings.ts';
import { type Synthesized, synthesizeExample } from './synth.ts';

interface Finding {
  rule: string;
  /** Below the region's stage. */
  path: string;
}

let synthesized: Synthesized;
let findings: Finding[];
beforeAll(() => {
  synthesized = synthesizeExample();
  const { violations } = new AwsSolutionsChecks().validateScope(synthesized.app);
  findings = violations.flatMap(({ ruleName, violatingResources }) =>
    violatingResources.map(({ constructPath = '' }) => ({
      rule: ruleName,
      path: constructPath.slice(constructPath.indexOf('/') + 1),
    })),
  );
});
afterAll(() => synthesized.remove());

const isOf = ({ rule, on }: AcknowledgedFinding, finding: Finding): boolean =>
  (typeof rule === 'string' ? rule === finding.rule : rule.test(finding.rule)) && on.test(finding.path);

describe('cdk-nag', () => {
  it('finds nothing that is not acknowledged', () => {
    expect(findings.length).toBeGreaterThan(100); // it has looked
    expect(findings.filter((finding) => !NAG_ACKNOWLEDGEMENTS.some((entry) => isOf(entry, finding)))).toEqual(
      [],
    );
  });

  it('still finds all that is acknowledged', () => {
    const unfound = NAG_ACKNOWLEDGEMENTS.filter((entry) => !findings.some((finding) => isOf(entry, finding)));
    expect(unfound).toEqual([]);
  });
});
