import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDeployment } from '../../core/deployment.ts';
import type { LocalCloud } from '../../local/cloud/local-cloud.ts';
import { fixedPorts } from '../../local/cloud/ports.ts';
import { hints } from '../../local/hints.ts';

const ROOT = join(import.meta.dirname, '../..');
const FILE = join(ROOT, 'deployments/local.yaml');

const slots = [...fixedPorts(['use1-1', 'usw2-1']).slots].map(([name, ports], i) => ({
  name,
  region: ['us-east-1', 'us-west-2'][i] as string,
  ports,
  recorderPid: 4_711 + i,
  sipServerPid: 4_811 + i,
  incident: () => undefined,
  kill: async () => {},
  restart: async () => {},
  stop: async () => {},
}));

const cloud: LocalCloud = {
  deployment: parseDeployment(readFileSync(FILE, 'utf8'), FILE),
  endpoint: 'http://127.0.0.1:4566',
  credentials: { accessKeyId: '000000000000', secretAccessKey: 'local' },
  dns: { address: '127.0.0.1', port: 5053 },
  slots,
  health: () => 'healthy',
  route53: { endpoint: 'http://127.0.0.1:4567', frozen: false, refused: 0, close: async () => {} },
  sipServer: 'the development SIP server',
  logDirectory: '.local/logs',
  apiUrl: (region) => `http://127.0.0.1:4566/restapis/${region}`,
  lost: new Promise(() => {}),
};

describe('the hints', () => {
  const said = hints(cloud);

  it('name every address', () => {
    expect(said).toContain(
      'use1-1  us-east-1  sip:127.0.0.1:5060 (UDP, TCP)  http://127.0.0.1:8080/status  pid 4711',
    );
    expect(said).toContain(
      'usw2-1  us-west-2  sip:127.0.0.1:5070 (UDP, TCP)  http://127.0.0.1:8090/status  pid 4712',
    );
    expect(said).toContain('siprec.rec.example.com');
    expect(said).toContain('us-west-2  http://127.0.0.1:4566/restapis/us-west-2');
    expect(said).toContain('Logs: .local/logs');
  });

  it('ask the DNS server for the record that BroadWorks asks for', () => {
    expect(said).toContain('dig @127.0.0.1 -p 5053 SRV _sip._udp.siprec.rec.example.com');
  });

  it('name a SIPp scenario that is there', () => {
    const [, scenario] = /sipp -sf (\S+) /.exec(said) as RegExpExecArray;
    expect(existsSync(join(ROOT, scenario as string))).toBe(true);
  });
});
