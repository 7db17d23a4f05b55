import { parseS3Notification, UnknownMessageError } from '../../../functions/index-recording/s3-events.ts';

const record = (bucket: string, key: string) => ({
  eventVersion: '2.1',
  eventSource: 'aws:s3',
  eventName: 'ObjectCreated:Put',
  s3: { bucket: { name: bucket, arn: `arn:aws:s3:::${bucket}` }, object: { key, size: 5 } },
});

const body = (...records: unknown[]) => JSON.stringify({ Records: records });

describe('parseS3Notification', () => {
  it('reads every record of a message, in order', () => {
    expect(parseS3Notification(body(record('a', 'rec/1'), record('b', 'rec/2')))).toEqual([
      { bucket: 'a', key: 'rec/1' },
      { bucket: 'b', key: 'rec/2' },
    ]);
    expect(parseS3Notification(body())).toEqual([]);
  });

  it("finds nothing in S3's test event", () => {
    const event = { Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'a', RequestId: '1', HostId: '2' };
    expect(parseS3Notification(JSON.stringify(event))).toEqual([]);
  });

  it.each([
    ['rec/a+b.json', 'rec/a b.json'],
    ['rec/a%2Bb.json', 'rec/a+b.json'],
    ['rec/%C3%A9.json', 'rec/é.json'],
    ['rec%2Fa.json', 'rec/a.json'],
    ['rec/100%.json', 'rec/100%.json'], // not encoded at all
  ])('decodes the key %s', (sent, key) => {
    expect(parseS3Notification(body(record('a', sent)))).toEqual([{ bucket: 'a', key }]);
  });

  it.each([
    '',
    'not JSON',
    'null',
    '[]',
    '{}',
    '{"Records":5}',
    '{"Records":[{}]}',
    '{"Records":[{"eventName":"x","s3":{"bucket":{},"object":{}}}]}',
    '{"Event":"other"}',
  ])('refuses %j, and says what it is', (text) => {
    expect(() => parseS3Notification(text)).toThrow(
      expect.objectContaining({
        name: UnknownMessageError.name,
        message: `not an S3 event notification: ${text}`,
        cause: expect.anything(),
      }),
    );
  });

  it('quotes no more than the beginning of a long message', () => {
    expect(() => parseS3Notification('x'.repeat(1000))).toThrow(/^not an S3 event notification: x{200}$/);
  });
});
