import { addressKey, aorNumberKeys, numberKeys } from '../../core/phone-number.ts';

describe('numberKeys', () => {
  it.each([
    ['+12145550101', ['12145550101']],
    ['12145550101', ['12145550101']],
    ['+1 (214) 555-0101', ['12145550101']],
    ['0012145550101', ['12145550101', '0012145550101']],
    ['2145550101', ['2145550101']],
    ['1001', ['1001']],
    ['001001', ['001001']], // too short to be international
    ['00123456789012345678', ['00123456789012345678']], // too long for E.164
    ['+0123456789', ['0123456789']], // no country begins with 0
  ])('keys %s as %j', (sent, keys) => {
    expect(numberKeys(sent)).toEqual(keys);
  });

  it.each(['', 'alice', '+', '*67', '1'.repeat(33), '12a'])('has no key for %j', (text) => {
    expect(numberKeys(text)).toEqual([]);
  });

  it('completes a national number by its context, and leaves an international one alone', () => {
    expect(numberKeys('2145550101', '+1')).toEqual(['12145550101', '2145550101']);
    expect(numberKeys('2145550101', '1')).toEqual(['12145550101', '2145550101']);
    expect(numberKeys('+12145550101', '+44')).toEqual(['12145550101']);
  });

  it('gives a key that is its own key', () => {
    for (const sent of ['+12145550101', '0012145550101', '2145550101', '1001', '00123456789012345678'])
      for (const key of numberKeys(sent)) expect(numberKeys(key)).toContain(key);
  });
});

describe('aorNumberKeys', () => {
  it.each([
    ['sip:+12145550101@example.com', ['12145550101']],
    ['sips:%2B12145550101@example.com;user=phone', ['12145550101']],
    ['tel:+1-214-555-0101', ['12145550101']],
    ['tel:555-0101;phone-context=+1214', ['12145550101', '5550101']],
    ['sip:5550101;phone-context=+1214@example.com;user=phone', ['12145550101', '5550101']],
    ['tel:1001;phone-context=pbx.example.com', ['1001']],
    ['+12145550101', ['12145550101']],
    ['sip:alice@example.com', []],
    ['', []],
  ])('finds in %s the keys %j', (aor, keys) => {
    expect(aorNumberKeys(aor)).toEqual(keys);
  });
});

describe('addressKey', () => {
  it.each([
    ['sip:Alice@Example.com;transport=tcp', 'alice@example.com'],
    ['alice@example.com', 'alice@example.com'],
    ['sip:alice;tag=1@example.com', 'alice@example.com'],
    ['alice', 'alice'],
    ['sip:+12145550101@example.com', undefined],
    ['tel:+12145550101', undefined],
    ['sip:anonymous@anonymous.invalid', undefined],
    ['', undefined],
  ])('keys %s as %s', (aor, key) => {
    expect(addressKey(aor)).toBe(key);
  });
});
