import { bareAor, telephoneNumber } from '../../../recorder-image/src/siprec/aor.ts';

describe('telephoneNumber', () => {
  it.each([
    ['sip:+12025550101@example.com;user=phone', '+12025550101'],
    ['sips:2025550101@example.com', '2025550101'],
    ['sip:2025550101;user=phone', '2025550101'],
    ['SIP:%2B12025550101@example.com', '+12025550101'],
    ['sip:+12025550101;phone-context=example.com@example.com', '+12025550101'],
    ['tel:+1-202-555-0101', '+12025550101'],
    ['tel:(202) 555.0101;ext=7', '2025550101'],
    ['+12025550101@example.com', '+12025550101'],
    [' 2025550101 ', '2025550101'],
  ])('%s', (aor, number) => {
    expect(telephoneNumber(aor)).toBe(number);
  });

  it.each([
    'sip:alice@example.com',
    'sip:192.0.2.1',
    '192.0.2.1',
    'sip:example.com',
    'sip:@example.com',
    '',
    'tel:',
    '+',
  ])('none in %j', (aor) => {
    expect(telephoneNumber(aor)).toBeUndefined();
  });
});

describe('bareAor', () => {
  it('makes aors comparable', () => {
    expect(bareAor('sip:Alice@Example.com;user=phone')).toBe(bareAor('alice@example.com'));
  });
});
