import type { Answer } from 'dns-packet';
import { answerQuestion, type RecordSet, type Zone } from '../../../local/dns-server/zone.ts';
import { exampleZone, healthy, SERVICE, slotAddress, slotRecord } from './example-zone.ts';

const targets = (answers: Answer[]) =>
  answers.map((answer) => (answer.type === 'SRV' ? answer.data.target : ''));

function askSrv(zone: Zone, unhealthy: string[] = []) {
  const health = (id: string) =>
    (unhealthy.includes(id) ? 'unhealthy' : 'healthy') as 'unhealthy' | 'healthy';
  return answerQuestion(zone, { name: SERVICE, type: 'SRV' }, health, Math.random);
}

const slots = (count: number) => Array.from({ length: count }, (_, index) => `s${index + 1}`);

describe('multivalue answer records', () => {
  it('leaves out those whose health check is unhealthy', () => {
    const zone = exampleZone(...slots(3).map((slot) => slotRecord(slot)));
    const { answers } = askSrv(zone, ['check-s2']);
    expect(targets(answers).sort()).toEqual(['s1.rec.example.com', 's3.rec.example.com']);
  });

  it('counts a record without a health check as healthy', () => {
    const without: RecordSet = { ...slotRecord('s2'), multivalue: { setIdentifier: 's2' } } as RecordSet;
    const { answers } = askSrv(exampleZone(slotRecord('s1'), without), ['check-s1']);
    expect(targets(answers)).toEqual(['s2.rec.example.com']);
  });

  it('answers with all when none is healthy', () => {
    const zone = exampleZone(...slots(3).map((slot) => slotRecord(slot)));
    const { answers } = askSrv(
      zone,
      slots(3).map((slot) => `check-${slot}`),
    );
    expect(answers).toHaveLength(3);
  });

  it('answers with eight at most, and with different ones in turn', () => {
    const zone = exampleZone(...slots(12).map((slot) => slotRecord(slot)));
    const seen = new Set<string>();
    for (let query = 0; query < 100; query++) {
      const { answers } = askSrv(zone);
      expect(new Set(targets(answers)).size).toBe(8);
      for (const target of targets(answers)) seen.add(target);
    }
    expect(seen.size).toBe(12);
  });

  it('answers with eight unhealthy ones when all twelve are unhealthy', () => {
    const zone = exampleZone(...slots(12).map((slot) => slotRecord(slot)));
    const { answers } = askSrv(
      zone,
      slots(12).map((slot) => `check-${slot}`),
    );
    expect(new Set(targets(answers)).size).toBe(8);
  });

  it('chooses each of the healthy ones equally often', () => {
    const zone = exampleZone(...slots(16).map((slot) => slotRecord(slot)));
    const counts = new Map<string, number>();
    let state = 1;
    const random = () => {
      state = (state * 48_271) % 0x7fff_ffff;
      return state / 0x7fff_ffff;
    };
    for (let query = 0; query < 2_000; query++) {
      const { answers } = answerQuestion(zone, { name: SERVICE, type: 'SRV' }, healthy, random);
      for (const target of targets(answers)) counts.set(target, (counts.get(target) ?? 0) + 1);
    }
    // Each is expected 1000 times; the standard deviation is 22.
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(110);
  });
});

describe('answers', () => {
  const zone = exampleZone(slotRecord('s1'), slotAddress('s1', '192.0.2.1'), {
    name: 'pool.rec.example.com',
    type: 'A',
    ttlSeconds: 60,
    values: ['192.0.2.1', '192.0.2.2'],
  });
  const ask = (name: string, type: 'A' | 'AAAA' | 'SRV' | 'TXT') =>
    answerQuestion(zone, { name, type }, healthy, Math.random);

  it('holds every value of a simple record, with its TTL', () => {
    expect(ask('pool.rec.example.com', 'A').answers).toEqual([
      { name: 'pool.rec.example.com', type: 'A', ttl: 60, data: '192.0.2.1' },
      { name: 'pool.rec.example.com', type: 'A', ttl: 60, data: '192.0.2.2' },
    ]);
  });

  it('adds the addresses of SRV targets', () => {
    expect(ask(SERVICE, 'SRV').additionals).toEqual([
      { name: 's1.rec.example.com', type: 'A', ttl: 300, data: '192.0.2.1' },
    ]);
  });

  it('compares names without regard to case and repeats the case of the question', () => {
    const { answers } = ask('PooL.reC.Example.COM', 'A');
    expect(answers.map(({ name }) => name)).toEqual(['PooL.reC.Example.COM', 'PooL.reC.Example.COM']);
  });

  it('says NODATA, with the SOA, for a name that has other types', () => {
    const answer = ask('pool.rec.example.com', 'TXT');
    expect(answer).toMatchObject({ rcode: 'NOERROR', authoritative: true, answers: [] });
    expect(answer.authorities).toMatchObject([{ type: 'SOA', name: 'rec.example.com', ttl: 60 }]);
  });

  it('says NODATA for a name that only has names below it', () => {
    expect(ask('_udp.siprec.rec.example.com', 'SRV')).toMatchObject({ rcode: 'NOERROR', answers: [] });
  });

  it('says NXDOMAIN, with the SOA, for a name that is not there', () => {
    const answer = ask('nowhere.rec.example.com', 'A');
    expect(answer).toMatchObject({ rcode: 'NXDOMAIN', authoritative: true });
    expect(answer.authorities).toMatchObject([{ type: 'SOA', ttl: 60 }]);
  });

  it.each(['example.com', 'rec.example.net', 'otherrec.example.com', '.'])('refuses %s', (name) => {
    expect(ask(name, 'A')).toMatchObject({ rcode: 'REFUSED', authoritative: false, authorities: [] });
  });
});
