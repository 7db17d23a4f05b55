/**
 * What AWS charges, in US dollars, in us-east-1, on demand, beyond any free tier. The only place with prices: whoever relies on
 * an estimate compares them with AWS's pages first, and changes them and the date here.
 */

/** When the table was last gone through. */
export const PRICES_DATE = '2026-11-25';
export const PRICES_REGION = 'us-east-1';

/** One price: for `per` units of `unit`. */
export interface Price {
  usd: number;
  per: number;
  unit: string;
}

const price = (usd: number, unit: string, per = 1): Price => ({ usd, per, unit });
const million = 1_000_000;

/** EC2 on-demand, Linux, an hour. Graviton has the best price for each packet. */
export const INSTANCE_HOUR: Readonly<Record<string, Price>> = {
  'c7g.large': price(0.0725, 'hour'),
  'c7g.xlarge': price(0.145, 'hour'),
  'c7g.2xlarge': price(0.29, 'hour'),
  'c7g.4xlarge': price(0.58, 'hour'),
  'c7g.8xlarge': price(1.16, 'hour'),
  'c7g.12xlarge': price(1.74, 'hour'),
  'c8g.large': price(0.07976, 'hour'),
  'c8g.xlarge': price(0.15952, 'hour'),
  'c8g.2xlarge': price(0.31904, 'hour'),
  'c8g.4xlarge': price(0.63808, 'hour'),
  'm7g.large': price(0.0816, 'hour'),
  'm7g.xlarge': price(0.1632, 'hour'),
  'c7i.large': price(0.08925, 'hour'),
  'c7i.xlarge': price(0.1785, 'hour'),
  'c7i.2xlarge': price(0.357, 'hour'),
};

export const PRICES = {
  /** EBS gp3 with its included 3,000 IOPS and 125 MiB/s. */
  gp3: price(0.08, 'GB-month'),
  gp3Iops: price(0.005, 'IOPS-month'),
  gp3Throughput: price(0.04, 'MiB/s-month'),
  publicAddress: price(0.005, 'hour'),
  /** Out of a region of the USA to another one. Into AWS from the Internet costs nothing. */
  interRegion: price(0.02, 'GB'),
  internetOut: price(0.09, 'GB'),
  s3Standard: price(0.023, 'GB-month'),
  s3Write: price(0.005, 'request', 1_000),
  s3Read: price(0.0004, 'request', 1_000),
  kmsKey: price(1, 'key-month'),
  sqs: price(0.4, 'request', million),
  lambdaRequest: price(0.2, 'request', million),
  /** Arm. */
  lambdaTime: price(13.3334, 'GB-second', million),
  /** On demand; a global table takes it in every region that has a replica. */
  dynamoWrite: price(0.625, 'write unit', million),
  dynamoRead: price(0.125, 'read unit', million),
  dynamoStorage: price(0.25, 'GB-month'),
  dynamoBackup: price(0.2, 'GB-month'),
  hostedZone: price(0.5, 'zone-month'),
  /** Of an endpoint in AWS, and the surcharge for the interval of 10 s. */
  healthCheck: price(0.5, 'check-month'),
  fastInterval: price(1, 'check-month'),
  dnsQuery: price(0.4, 'query', million),
  apiRequest: price(3.5, 'request', million),
  webAcl: price(5, 'ACL-month'),
  webAclRule: price(1, 'rule-month'),
  secret: price(0.4, 'secret-month'),
  metric: price(0.3, 'metric-month'),
  alarm: price(0.1, 'alarm-month'),
  dashboard: price(3, 'dashboard-month'),
  logIngestion: price(0.5, 'GB'),
} satisfies Record<string, Price>;

/**
 * The managed alternative that takes SIPREC on AWS: Voice Connector streaming into Kinesis Video Streams, and call analytics that
 * writes the recording to S3. It keeps one copy, in one region (docs/cost.md says what else differs).
 */
export const MANAGED = {
  /** Each minute of a call. */
  streamingMinute: price(0.0015, 'minute'),
  /** Into Kinesis Video Streams, and out again by the analytics pipeline. */
  videoStreams: price(0.0085, 'GB'),
} satisfies Record<string, Price>;

export const costOf = ({ usd, per }: Price, quantity: number): number => (usd * quantity) / per;
