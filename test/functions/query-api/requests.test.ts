import { encodeCursor, InvalidCursorError } from '../../../functions/query-api/cursor.ts';
import { readParameters } from '../../../functions/query-api/parameters.ts';
import { ProblemError } from '../../../functions/query-api/problems.ts';
import { parametersOf } from '../../../functions/query-api/range-request.ts';
import { recordingsRequest, searchParameters } from '../../../functions/query-api/requests.ts';

const now = new Date('2026-11-23T12:00:00.000Z');
const read = (query: string | Record<string, string>) => {
  const search = new URLSearchParams(query);
  const raw = Object.fromEntries([...search.keys()].map((name) => [name, search.getAll(name)]));
  return recordingsRequest(readParameters(searchParameters, raw), now);
};
const range = { from: new Date('2026-11-22T00:00:00.000Z'), to: new Date('2026-11-23T00:00:00.000Z') };
const after = '2026-11-22T08:00:00.000Z#01KAR7V0000000000000000000';

describe('recordingsRequest', () => {
  it('asks for the last 24 hours, 50 at a time, without parameters', () => {
    expect(read('')).toEqual({
      query: { from: new Date('2026-11-22T12:00:00.000Z'), to: now },
      page: { limit: 50 },
    });
  });

  it('asks for the 24 hours before `to`, and until now from `from`', () => {
    expect(read({ to: '2026-11-20T00:00:00Z' }).query).toMatchObject({
      from: new Date('2026-11-19T00:00:00Z'),
      to: new Date('2026-11-20T00:00:00Z'),
    });
    expect(read({ from: '2026-11-01T00:00:00Z' }).query).toMatchObject({
      from: new Date('2026-11-01T00:00:00Z'),
      to: now,
    });
  });

  it('takes any RFC 3339 time', () => {
    expect(
      read({ from: '2026-11-23T00:00:00+02:00', to: '2026-11-23T10:00:00.123456Z', limit: '200' }),
    ).toEqual({
      query: { from: new Date('2026-11-22T22:00:00.000Z'), to: new Date('2026-11-23T10:00:00.123Z') },
      page: { limit: 200 },
    });
  });

  it.each([
    ['from=yesterday', 'from=yesterday: write a time by RFC 3339, such as 2026-11-23T10:00:00Z'],
    ['from=2026-11-23', 'from=2026-11-23: write a time by RFC 3339'],
    ['to=2026-11-23T10:00:00', 'to=2026-11-23T10:00:00: write a time by RFC 3339'],
    ['to=2026-02-30T10:00:00Z', 'to=2026-02-30T10:00:00Z: write a time by RFC 3339'],
    ['from=2026-11-23T00:00:00+02:00', 'from=2026-11-23T00:00:00 02:00: write a time'], // `+` is a space in a query
    ['from=0000-01-01T00:00:00%2B01:00', 'write a time by RFC 3339'],
    ['to=9999-12-31T23:59:59-01:00', 'write a time by RFC 3339'],
    ['limit=0', 'limit=0: write a whole number from 1 to 200'],
    ['limit=201', 'limit=201: write a whole number from 1 to 200'],
    ['limit=99999', 'limit=99999: write a whole number from 1 to 200'],
    ['limit=-1', 'limit=-1: write a whole number from 1 to 200'],
    ['limit=1.5', 'limit=1.5: write a whole number from 1 to 200'],
    ['limit=', 'limit=: write a whole number from 1 to 200'],
    ['cursor=', 'cursor=: leave it out for the first page'],
    [
      'who=x&page=2',
      'who, page: no such parameter; there are from, to, tenant, number, user, group, slot, status, direction, minDurationMs, text, limit, cursor',
    ],
    ['number=alice', 'number=alice: write a telephone number, such as +12145550101'],
    ['number=', 'number=: write 1 to 256 characters'],
    ['user=%20', 'user= : write a user id or an address'],
    [`group=${'x'.repeat(257)}`, 'write 1 to 256 characters'],
    ['status=lost', 'status=lost: write one of complete, partial, recovered'],
    ['direction=up', 'direction=up: write one of outgoing, incoming, unknown'],
    ['minDurationMs=1.5', 'minDurationMs=1.5: write a whole number from 0 to 2147483648'],
    ['minDurationMs=9999999999', 'minDurationMs=9999999999: write a whole number'],
    ['text=%2B-', 'text=+-: write letters or digits'],
    ['slot=a&slot=b&status=partial', 'slot: write a parameter only once'],
    [
      'from=2026-11-23T13:00:00Z',
      'from (2026-11-23T13:00:00.000Z) must be before to (2026-11-23T12:00:00.000Z)',
    ],
    ['from=2026-11-23T12:00:00Z', 'must be before to'],
  ])('refuses %s', (query, message) => {
    expect(() => read(query)).toThrow(ProblemError);
    expect(() => read(query)).toThrow(message);
  });

  it('tells all that is wrong at once', () => {
    expect(() => read('from=x&limit=0')).toThrow(/^from=x: .+; limit=0: .+$/);
  });

  it('takes every condition, as the index keys it', () => {
    const asked = {
      tenant: 'acme',
      number: '+1 (214) 555-0101',
      user: 'sip:Alice@Example.com',
      group: 'Sales',
      slot: 'use1-1',
      status: 'partial',
      direction: 'incoming',
      minDurationMs: '1500',
      text: 'José  SMI',
    };
    expect(read(asked).query).toMatchObject({
      ...asked,
      number: '12145550101',
      user: 'alice@example.com',
      group: 'sales',
      minDurationMs: 1500,
      text: 'jose smi',
    });
  });

  it('takes a number whose + became a space', () => {
    expect(read('number=+12145550101').query).toMatchObject({ number: '12145550101' });
  });
});

describe('a cursor', () => {
  const asked = { number: '+12145550101', status: 'partial', minDurationMs: '1000', text: 'Zoë A' };
  const times = { from: range.from.toISOString(), to: range.to.toISOString() };
  const { query } = read({ ...times, ...asked });
  const cursorOf = (parameters: Record<string, string>, place = after) =>
    encodeCursor({ parameters, after: place });
  const cursor = cursorOf(parametersOf(query));

  it('continues the query that it belongs to, with any limit', () => {
    expect(read({ cursor })).toEqual({ query, page: { limit: 50, after } });
    expect(read({ cursor, limit: '7' })).toEqual({ query, page: { limit: 7, after } });
  });

  it('may come with the parameters of its query, however they are written', () => {
    const repeated = { cursor, from: '2026-11-22T01:00:00+01:00', to: '2026-11-23T00:00:00Z', ...asked };
    expect(read(repeated)).toEqual({ query, page: { limit: 50, after } });
    expect(read({ cursor, number: '(1)2145550101' }).page).toEqual({ limit: 50, after });
  });

  it.each([
    ['another from', { from: '2026-11-22T00:00:00.001Z' }],
    ['another to', { to: '2026-11-24T00:00:00Z' }],
    ['another number', { number: '+12145550102' }],
    ['a condition that it has not', { slot: 'use1-1' }],
    ['another tenant', { tenant: 'other' }],
  ])('is refused with %s', (_, other) => {
    expect(() => read({ cursor, ...other })).toThrow(InvalidCursorError);
    expect(() => read({ cursor, ...other })).toThrow(
      'this cursor does not belong to this query: repeat the query without it',
    );
  });

  it.each([
    ['rubbish', 'rubbish'],
    ['JSON of another kind', Buffer.from('[1,2,3]').toString('base64url')],
    ['a place before the query', cursorOf(times, after.replace('11-22', '11-21'))],
    ['a place behind the query', cursorOf(times, after.replace('11-22', '11-23'))],
    ['no sort key', cursorOf(times, '2026-11-22')],
    ['no times', cursorOf({ status: 'partial' })],
    ['a condition that there is not', cursorOf({ ...times, who: 'x' })],
    ['a bad condition', cursorOf({ ...times, status: 'lost' })],
    ['another page inside', cursorOf({ ...times, cursor: 'x', limit: '9999' })],
  ])('is refused when it has %s', (_, other) => {
    expect(() => read({ cursor: other })).toThrow(InvalidCursorError);
  });

  it('is refused when anything in it was changed', () => {
    const [parameters, place, digest] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    const pieced = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
    expect(read({ cursor: pieced(parameters, place, digest) }).page.after).toBe(after);
    for (const changed of [
      pieced({ ...parameters, status: 'complete' }, place, digest),
      pieced({ ...parameters, tenant: 'other' }, place, digest),
      pieced(parameters, place.replace('08', '09'), digest),
      pieced(parameters, place, `${digest}0`),
      pieced(parameters, place, ''),
    ])
      expect(() => read({ cursor: changed })).toThrow(InvalidCursorError);
    // Each character, one by one, but for bits that base64url leaves unused at the end.
    for (let at = 0; at < cursor.length - 1; at += 1) {
      const other = cursor[at] === 'A' ? 'B' : 'A';
      expect(() => read({ cursor: cursor.slice(0, at) + other + cursor.slice(at + 1) })).toThrow(
        InvalidCursorError,
      );
    }
    for (let length = 1; length < cursor.length - 1; length += 7)
      expect(() => read({ cursor: cursor.slice(0, length) })).toThrow(InvalidCursorError);
  });
});
