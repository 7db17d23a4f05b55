/** AWS's own cfn-lint over all templates of the example: each rule that finds something is acknowledged with its reason. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { LINT_ACKNOWLEDGEMENTS } from '../../infra/acknowledged-findings.ts';
import { installPython } from '../../local/cloud/python-environment.ts';
import { type Synthesized, synthesizeExample } from './synth.ts';

const INSTALLATION = join(import.meta.dirname, '../../.local/cfn-lint');
const REQUIREMENTS = join(import.meta.dirname, '../helpers/cfn-lint-requirements.txt');
/** To download it once, and to lint 24 templates: 9 s of one core. */
const TIMEOUT_MS = 6 * 60_000;

interface Finding {
  Rule: { Id: string };
  Message: string;
  Location: { Path: unknown[] };
}

let synthesized: Synthesized;
/** With what the example leaves out. */
let withDomain: Synthesized;
let python: string;
beforeAll(async () => {
  python = await installPython(INSTALLATION, { requirements: REQUIREMENTS, what: 'cfn-lint' });
  synthesized = synthesizeExample();
  withDomain = synthesizeExample((example) => ({
    ...example,
    api: { ...example.api, domain: `api.${example.dns.zone}` },
  }));
}, TIMEOUT_MS);
afterAll(() => {
  synthesized?.remove();
  withDomain?.remove();
});

/** @returns what it finds; it ends with a code of its own when that is something */
function lint(templates: string[]): Promise<Finding[]> {
  // Its own program names the Python that it was installed with, which has another path by now.
  const program = 'from cfnlint.runner import main; main()';
  const args = ['-c', program, '--format', 'json', '--template', ...templates];
  return new Promise((resolve, reject) => {
    execFile(python, args, { maxBuffer: 64 * 2 ** 20 }, (error, stdout, stderr) => {
      if (stdout.startsWith('[')) resolve(JSON.parse(stdout));
      else reject(new Error(`cfn-lint failed: ${stderr || error?.message}`));
    });
  });
}

describe('cfn-lint', () => {
  it(
    'finds nothing in the templates but what is acknowledged, and all of that',
    async () => {
      const files = ({ regions }: Synthesized) =>
        Object.values(regions).flatMap(({ assembly }) =>
          assembly.stacks.map(({ templateFullPath }) => templateFullPath),
        );
      const templates = [...files(synthesized), ...files(withDomain).filter((file) => /edge/.test(file))];
      const findings = await lint(templates);
      const acknowledged = LINT_ACKNOWLEDGEMENTS.map(({ rule }) => rule);
      expect(
        findings
          .filter(({ Rule }) => !acknowledged.includes(Rule.Id))
          .map(({ Rule, Message, Location }) => `${Rule.Id} ${Location.Path?.join('/')}: ${Message}`),
      ).toEqual([]);
      const found = new Set(findings.map(({ Rule }) => Rule.Id));
      expect(acknowledged.filter((rule) => !found.has(rule))).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
