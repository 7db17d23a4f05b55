import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDeployment } from '../../core/deployment.ts';
import { indexHomeRegion, indexTableName, metricsNamespace, recordingsBucketName } from '../../core/names.ts';

const example = parseDeployment(
  readFileSync(join(import.meta.dirname, '../../deployments/example.yaml'), 'utf8'),
  'example.yaml',
);

describe('names', () => {
  it('follow from the deployment file', () => {
    expect(recordingsBucketName(example, 'us-east-1')).toBe('siprec-recordings-111122223333-us-east-1');
    expect(indexTableName(example)).toBe('siprec-index');
    expect(indexHomeRegion(example)).toBe('us-east-1');
    expect(metricsNamespace(example)).toBe('SiprecHa/siprec');
  });

  it.each([
    'us-east-1',
    'ap-southeast-2',
    'ap-northeast-3',
    'us-gov-west-1',
    'us-isob-east-1',
    'mx-central-1',
  ])('are names that S3 takes, for the longest deployment in %s', (region) => {
    const longest = { ...example, name: `a${'-'.repeat(18)}b` };
    const bucket = recordingsBucketName(longest, region);
    expect(bucket.length).toBeLessThanOrEqual(63);
    expect(bucket).toMatch(/^[a-z0-9][a-z0-9-]*[a-z0-9]$/);
  });
});
