import { addressTest, InvalidAddressRuleError } from '../../../recorder-image/src/media/address-rule.ts';

describe('addressTest', () => {
  it('accepts the networks and addresses named, of both families', () => {
    const accepts = addressTest(['198.51.100.0/24', '203.0.113.7', '2001:db8:1::/48', '2001:db8:2::5']);
    const tried = [
      '198.51.100.1',
      '198.51.101.1',
      '203.0.113.7',
      '203.0.113.8',
      '2001:db8:1:9::1',
      '2001:db8:2::5',
      '2001:db8:2::6',
    ];
    expect(tried.filter(accepts)).toEqual([
      '198.51.100.1',
      '203.0.113.7',
      '2001:db8:1:9::1',
      '2001:db8:2::5',
    ]);
  });

  it('takes an IPv4 address in IPv6 form for what it is', () => {
    const accepts = addressTest(['198.51.100.0/24']);
    expect(accepts('::ffff:198.51.100.1')).toBe(true);
    expect(accepts('::ffff:198.51.101.1')).toBe(false);
  });

  it('tells senders apart that take turns', () => {
    const accepts = addressTest(['198.51.100.1']);
    const turns = ['198.51.100.1', '198.51.100.1', '198.51.100.2', '198.51.100.1', '198.51.100.2'];
    expect(turns.map(accepts)).toEqual([true, true, false, true, false]);
  });

  it('accepts nobody by an empty rule', () => {
    expect(addressTest([])('198.51.100.1')).toBe(false);
  });

  it.each(['198.51.100.0/33', 'example.com', '', '198.51.100'])('refuses %j, naming it', (network) => {
    expect(() => addressTest(['198.51.100.0/24', network])).toThrow(InvalidAddressRuleError);
    expect(() => addressTest([network])).toThrow(JSON.stringify(network));
  });
});
