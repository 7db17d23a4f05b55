import { encode, type SrvAnswer } from 'dns-packet';
import { MAX_ANSWER_BYTES, nameBytes, srvAnswerBytes } from '../../core/dns-limits.ts';
import { replyTo } from '../../local/dns-server/message.ts';

const NAME = '_sip._udp.siprec.rec.example.com';
const targets = (count: number, host: string) =>
  Array.from({ length: count }, (_, index) => `${host}${index}.rec.example.com`);

/** What a server sends, which compresses owner names and no targets. */
function reply(hosts: string[]): Buffer {
  const query = encode({
    type: 'query',
    id: 1,
    questions: [{ type: 'SRV', name: NAME }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4096,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  const answers = hosts.map(
    (target): SrvAnswer => ({
      type: 'SRV',
      name: NAME,
      ttl: 30,
      data: { priority: 10, weight: 1000, port: 5060, target },
    }),
  );
  const answer = {
    rcode: 'NOERROR' as const,
    authoritative: true,
    answers,
    authorities: [],
    additionals: [],
  };
  return replyTo(query, 'udp', () => answer) as Buffer;
}

describe('the size of an SRV answer', () => {
  it.each([
    [1, 'use1-'],
    [6, 'use1-'],
    [8, 'a'],
    [8, 'a-long-name-of-slot'],
  ])('with %d slots %s is what goes over the wire', (count, host) => {
    const hosts = targets(count, host);
    expect(srvAnswerBytes(NAME, hosts)).toBe(reply(hosts).length);
  });

  it('of the example is well below what DNS carries', () => {
    expect(srvAnswerBytes(NAME, targets(8, 'use1-'))).toBeLessThan(MAX_ANSWER_BYTES);
  });

  it('counts a name with its lengths and its end', () => {
    expect(nameBytes('rec.example.com')).toBe(17); // 3 rec 7 example 3 com 0
  });
});
