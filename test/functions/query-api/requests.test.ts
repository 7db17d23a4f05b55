import { encodeCursor, InvalidCursorError } from '../../../functions/query-api/cursor.ts';
import { InvalidQueryError, readTimeQuery } from '../../../functions/query-api/requests.ts';

const now = new Date('2026-11-23T12:00:00.000Z');
const read = (query: string | Record<string, string>) => readTimeQuery(new URLSearchParams(query), now);
const range = { from: new Date('2026-11-22T00:00:00.000Z'), to: new Date('2026-11-23T00:00:00.000Z') };
const after = '2026-11-22T08:00:00.000Z#01KAR7V0000000000000000000';

describe('readTimeQuery', () => {
  it('asks for the last 24 hours, 50 at a time, without parameters', () => {
    expect(read('')).toEqual({ from: new Date('2026-11-22T12:00:00.000Z'), to: now, limit: 50 });
  });

  it('asks for the 24 hours before `to`, and until now from `from`', () => {
    expect(read({ to: '2026-11-20T00:00:00Z' })).toMatchObject({
      from: new Date('2026-11-19T00:00:00Z'),
      to: new Date('2026-11-20T00:00:00Z'),
    });
    expect(read({ from: '2026-11-01T00:00:00Z' })).toMatchObject({
      from: new Date('2026-11-01T00:00:00Z'),
      to: now,
    });
  });

  it('takes any RFC 3339 time', () => {
    expect(
      read({ from: '2026-11-23T00:00:00+02:00', to: '2026-11-23T10:00:00.123456Z', limit: '200' }),
    ).toEqual({
      from: new Date('2026-11-22T22:00:00.000Z'),
      to: new Date('2026-11-23T10:00:00.123Z'),
      limit: 200,
    });
  });

  it.each([
    ['from=yesterday', 'from=yesterday: write a time by RFC 3339, such as 2026-11-23T10:00:00Z'],
    ['from=2026-11-23', 'from=2026-11-23: write a time by RFC 3339'],
    ['to=2026-11-23T10:00:00', 'to=2026-11-23T10:00:00: write a time by RFC 3339'],
    ['to=2026-02-30T10:00:00Z', 'to=2026-02-30T10:00:00Z: write a time by RFC 3339'],
    ['from=2026-11-23T00:00:00+02:00', 'from=2026-11-23T00:00:00 02:00: write a time'], // `+` is a space in a query
    ['limit=0', 'limit=0: write a whole number from 1 to 200'],
    ['limit=201', 'limit=201: write a whole number from 1 to 200'],
    ['limit=99999', 'limit=99999: write a whole number from 1 to 200'],
    ['limit=-1', 'limit=-1: write a whole number from 1 to 200'],
    ['limit=1.5', 'limit=1.5: write a whole number from 1 to 200'],
    ['limit=', 'limit=: write a whole number from 1 to 200'],
    ['cursor=', 'cursor=: leave it out for the first page'],
    ['number=5550100&who=x', 'number, who: no such parameter; there are from, to, limit, cursor'],
    [
      'from=2026-11-23T13:00:00Z',
      'from (2026-11-23T13:00:00.000Z) must be before to (2026-11-23T12:00:00.000Z)',
    ],
    ['from=2026-11-23T12:00:00Z', 'must be before to'],
    ['from=2026-08-01T00:00:00Z', 'from and to are more than 92 days apart: ask for a shorter time'],
  ])('refuses %s', (query, message) => {
    expect(() => read(query)).toThrow(InvalidQueryError);
    expect(() => read(query)).toThrow(message);
  });

  it('tells all that is wrong at once', () => {
    expect(() => read('from=x&limit=0')).toThrow(/^from=x: .+; limit=0: .+$/);
  });

  it('continues the query that a cursor belongs to, with any limit', () => {
    const cursor = encodeCursor(range, after);
    expect(read({ cursor })).toEqual({ ...range, after, limit: 50 });
    expect(read({ cursor, limit: '7' })).toEqual({ ...range, after, limit: 7 });
    expect(read({ cursor, from: '2026-11-22T01:00:00+01:00', to: '2026-11-23T00:00:00Z' })).toMatchObject({
      after,
    });
  });

  it.each([
    ['another from', { cursor: encodeCursor(range, after), from: '2026-11-22T00:00:00.001Z' }],
    ['another to', { cursor: encodeCursor(range, after), to: '2026-11-24T00:00:00Z' }],
    ['rubbish', { cursor: 'rubbish' }],
    ['JSON of another kind', { cursor: Buffer.from('[1,2,3]').toString('base64url') }],
    ['a place before the query', { cursor: encodeCursor(range, after.replace('11-22', '11-21')) }],
    ['a place behind the query', { cursor: encodeCursor(range, after.replace('11-22', '11-23')) }],
    ['no sort key', { cursor: encodeCursor(range, '2026-11-22') }],
  ])('refuses a cursor with %s', (_, query) => {
    expect(() => read(query)).toThrow(InvalidCursorError);
    expect(() => read(query)).toThrow(
      'this cursor does not belong to this query: repeat the query without it',
    );
  });

  it('holds a cursor of the client’s own making to the same limits', () => {
    const from = new Date('2000-01-01T00:00:00.000Z');
    expect(() => read({ cursor: encodeCursor({ from, to: now }, after) })).toThrow(/more than 92 days apart/);
  });
});
