/** What `npm start` prints when it stays up: every address, and commands that work as they stand. */
import { regionSwitchName } from '../core/fleet.ts';
import { serviceDomain } from '../core/slot-plan.ts';
import type { LocalCloud } from './cloud/local-cloud.ts';

export function hints(cloud: LocalCloud): string {
  const { deployment, dns, endpoint, credentials, slots } = cloud;
  const domain = serviceDomain(deployment, (deployment.dns.services[0] as { name: string }).name);
  const [region] = deployment.regions.map(({ name }) => name) as [string, ...string[]];
  const [slot] = slots as [(typeof slots)[number], ...typeof slots];
  const user = `--user ${credentials.accessKeyId}:${credentials.secretAccessKey}`;
  const ask = (path: string) =>
    `  curl --aws-sigv4 aws:amz:${region}:execute-api ${user} '${cloud.apiUrl(region)}${path}'`;
  return `
Recorders (SIP by ${cloud.sipServer}):
${slots.map(({ name, region: where, ports, recorderPid }) => `  ${name}  ${where}  sip:127.0.0.1:${ports.sip} (UDP, TCP)  http://127.0.0.1:${ports.health}/status  pid ${recorderPid}`).join('\n')}
Recording platform: ${domain}   DNS: ${dns.address}:${dns.port}   AWS (S3 and all else): ${endpoint}
Query API:
${deployment.regions.map(({ name }) => `  ${name}  ${cloud.apiUrl(name)}`).join('\n')}

Place another call, as BroadWorks would:
  npm run simulate:calls -- --domain ${domain} --dns ${dns.address}:${dns.port} --calls 1
The same with SIPp (Debian: apt-get install sip-tester), straight to one recorder:
  sipp -sf test/e2e/sipp/broadworks-dual.xml -m 1 -t u1 -i 127.0.0.1 -mp 28000 127.0.0.1:${slot.ports.sip}
Find recordings, and play one:
${ask('/recordings?limit=5')}
${ask('/recordings/<recordingId>/audio')}
See the slots, and how far copies are:
${ask('/fleet')}
${ask('/replication')}
See where BroadWorks would send a call:
  dig @${dns.address} -p ${dns.port} SRV _sip._udp.${domain}
Kill a recorder and see below what happens:
  kill -9 ${slot.recorderPid}
Close a region to new calls, and open it again (with the AWS CLI):
  AWS_ENDPOINT_URL=${endpoint} AWS_ACCESS_KEY_ID=${credentials.accessKeyId} AWS_SECRET_ACCESS_KEY=${credentials.secretAccessKey} aws ssm put-parameter --region ${region} --overwrite --name ${regionSwitchName(deployment)} --value closed

Logs: ${cloud.logDirectory}
Ctrl-C stops everything.`;
}
