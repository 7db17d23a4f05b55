/**
 * The recorder's metrics for CloudWatch: a line a minute in its log, in the embedded metric format, from which CloudWatch Logs
 * makes metrics (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
 * No request is made for them, so that nothing can hang or be refused.
 */
import type { Logger } from 'pino';
import {
  METRIC_INTERVAL_SECONDS,
  RECORDER_COUNTERS,
  RECORDER_GAUGES,
  type RecorderCounter,
  type RecorderGauge,
  SLOT_DIMENSION,
  STATUS_DIMENSION,
} from '../../../core/recorder-metrics.ts';

/** What a recorder knows of itself at one moment. */
export interface RecorderReading {
  /** Since its start. */
  counters: Readonly<Record<RecorderCounter, number>>;
  /** Undefined is not known. */
  gauges: Readonly<Record<RecorderGauge, number | undefined>>;
  /** INVITEs refused since its start, by status. */
  refused: Readonly<Record<string, number>>;
}

export interface MetricLinesOptions {
  slot: string;
  namespace: string;
  read: () => Promise<RecorderReading>;
  /** Metrics are written whatever its level. */
  logger: Logger;
  now?: () => Date;
  intervalMs?: number;
}

interface Value {
  name: string;
  unit: string;
  value: number;
}

export class MetricLines {
  readonly #options: Required<MetricLinesOptions>;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #before: Pick<RecorderReading, 'counters' | 'refused'> | undefined;
  #writing: Promise<void> | undefined;

  constructor(options: MetricLinesOptions) {
    this.#options = { now: () => new Date(), intervalMs: METRIC_INTERVAL_SECONDS * 1000, ...options };
    this.#log = options.logger.child({}, { level: 'info' }); // LOG_LEVEL=warn is about what people read
    this.#timer = setInterval(() => void this.#write(), this.#options.intervalMs);
  }

  /** Ends with a last line: what happened since the one before would be lost. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#write();
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeLines()
      .catch((error) => this.#log.error({ err: error }, 'metrics cannot be read'))
      .finally(() => {
        this.#writing = undefined;
      });
    return this.#writing;
  }

  async #writeLines(): Promise<void> {
    const { counters, gauges, refused } = await this.#options.read();
    const before = this.#before;
    this.#before = { counters, refused };
    const values = [
      ...Object.entries(RECORDER_COUNTERS).map(([key, { name, unit }]) => {
        const counter = key as RecorderCounter;
        return { name, unit, value: counters[counter] - (before?.counters[counter] ?? 0) };
      }),
      ...Object.entries(RECORDER_GAUGES).flatMap(([key, { name, unit }]) => {
        const value = gauges[key as RecorderGauge];
        return value === undefined ? [] : { name, unit, value };
      }),
    ];
    this.#line(values, [[SLOT_DIMENSION], []]);
    const { name, unit } = RECORDER_COUNTERS.invitesRefused;
    for (const [status, count] of Object.entries(refused)) {
      const value = count - (before?.refused[status] ?? 0);
      if (value > 0)
        this.#line([{ name, unit, value }], [[STATUS_DIMENSION]], { [STATUS_DIMENSION]: status });
    }
  }

  #line(values: readonly Value[], dimensions: string[][], fields: Record<string, string> = {}): void {
    const { slot, namespace, now } = this.#options;
    const isNamed = this.#log.bindings()[SLOT_DIMENSION] !== undefined; // a name twice is no JSON for CloudWatch
    this.#log.info(
      {
        _aws: {
          Timestamp: now().getTime(),
          CloudWatchMetrics: [
            {
              Namespace: namespace,
              Dimensions: dimensions,
              Metrics: values.map(({ name, unit }) => ({ Name: name, Unit: unit })),
            },
          ],
        },
        ...(isNamed ? {} : { [SLOT_DIMENSION]: slot }),
        ...fields,
        ...Object.fromEntries(values.map(({ name, value }) => [name, value])),
      },
      'metrics',
    );
  }
}
