import { parseRdata, RdataError, unescapeOctal } from '../../../local/dns-server/rdata.ts';

describe('Route 53 record values', () => {
  it('reads SRV', () => {
    expect(parseRdata('SRV', '10 0 5060 S1.rec.example.com.')).toEqual({
      priority: 10,
      weight: 0,
      port: 5060,
      target: 's1.rec.example.com',
    });
    expect(parseRdata('SRV', '0 0 0 .').target).toBe('.');
  });

  it('reads NAPTR with empty strings', () => {
    expect(parseRdata('NAPTR', '50 60 "s" "SIP+D2U" "" _sip._udp.rec.example.com.')).toEqual({
      order: 50,
      preference: 60,
      flags: 's',
      services: 'SIP+D2U',
      regexp: '',
      replacement: '_sip._udp.rec.example.com',
    });
  });

  it('reads TXT strings with blanks, quotes and octal escapes', () => {
    expect(parseRdata('TXT', String.raw`"one two" "say \"hi\"" "\052"`)).toEqual([
      'one two',
      'say "hi"',
      '*',
    ]);
  });

  it('reads SOA', () => {
    expect(parseRdata('SOA', 'ns1.example.net. host.example.net. 1 7200 900 1209600 86400')).toMatchObject({
      mname: 'ns1.example.net',
      expire: 1_209_600,
      minimum: 86_400,
    });
  });

  it.each([
    ['A', '192.0.2.256', 'IPv4'],
    ['AAAA', '192.0.2.1', 'IPv6'],
    ['SRV', '10 100 s1.rec.example.com', 'expected 4 fields, found 3'],
    ['SRV', '10 65536 5060 s1.rec.example.com', '65536'],
    ['SRV', '10 1 5060 a..example.com', 'domain name'],
    ['TXT', '', 'at least 1'],
  ] as const)('refuses %s %j and says why', (type, value, why) => {
    const parse = () => parseRdata(type, value);
    expect(parse).toThrow(RdataError);
    expect(parse).toThrow(why);
  });

  it('undoes the octal escapes of names', () => {
    expect(unescapeOctal('\\052.example.com.')).toBe('*.example.com.');
  });
});
