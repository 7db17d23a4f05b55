import { planHost, zoneCidr } from '../../core/host-plan.ts';

describe('planHost', () => {
  it.each([
    [1, 'c7g.large', 1, 20],
    [500, 'c7g.large', 1, 135],
    [1_000, 'c7g.xlarge', 1, 270],
    [2_000, 'c7g.2xlarge', 2, 540],
    [10_000, 'c7g.12xlarge', 10, 2_700],
  ])(
    'gives %i calls %s, %i threads for media and %i GiB',
    (callCapacity, instanceType, mediaWorkers, gib) => {
      const plan = planHost({ callCapacity }, {});
      expect([plan.instanceType, plan.mediaWorkers, plan.spool.gib]).toEqual([
        instanceType,
        mediaWorkers,
        gib,
      ]);
    },
  );

  it('keeps to what gp3 allows', () => {
    for (const callCapacity of [1, 1_000, 5_000, 10_000]) {
      const { throughput, iops } = planHost({ callCapacity }, {}).spool;
      expect(throughput).toBeGreaterThanOrEqual(125);
      expect(throughput).toBeLessThanOrEqual(1_000);
      expect(iops).toBeGreaterThanOrEqual(Math.max(3_000, 4 * throughput));
      expect(iops).toBeLessThanOrEqual(16_000);
    }
  });

  it('takes what the deployment file says, and has no more threads than the instance has room for', () => {
    const plan = planHost({ callCapacity: 10_000 }, { instanceType: 'm7i.large', spoolGiB: 100 });
    expect(plan).toMatchObject({
      instanceType: 'm7i.large',
      mediaWorkers: 1,
      spool: { gib: 100, reserveMib: 5_120 },
    });
  });
});

describe('zoneCidr', () => {
  it.each([
    ['10.60.0.0/16', 'us-east-1a', '10.60.0.0/20'],
    ['10.60.0.0/16', 'us-east-1c', '10.60.32.0/20'],
    ['10.60.0.0/16', 'us-east-1p', '10.60.240.0/20'],
    ['192.168.7.0/24', 'us-west-2b', '192.168.7.16/28'],
  ])('of %s and %s is %s', (vpc, zone, cidr) => expect(zoneCidr(vpc, zone)).toBe(cidr));
});
