/** Metrics in CloudWatch's embedded format, read as CloudWatch reads them: a log line is metrics, or it is none at all. */

export interface MetricPoint {
  namespace: string;
  name: string;
  unit: string;
  value: number;
  /** Each set by itself: dimension -> value. */
  dimensions: Record<string, string>[];
}

interface EmbeddedLine {
  _aws: {
    Timestamp: number;
    CloudWatchMetrics: {
      Namespace: string;
      Dimensions: string[][];
      Metrics: { Name: string; Unit: string }[];
    }[];
  };
}

const isEmbedded = (line: unknown): line is EmbeddedLine & Record<string, unknown> =>
  typeof line === 'object' && line !== null && '_aws' in line;

/**
 * Every metric of some log lines.
 * @throws Error at what CloudWatch would drop: a name without a value, a dimension without a text, a time that is not of now
 */
export function metricPoints(lines: readonly unknown[]): MetricPoint[] {
  return lines.filter(isEmbedded).flatMap((line) => {
    const text = JSON.stringify(line);
    if (Math.abs(line._aws.Timestamp - Date.now()) > 3_600_000) throw new Error(`not of now: ${text}`);
    return line._aws.CloudWatchMetrics.flatMap(({ Namespace, Dimensions, Metrics }) =>
      Metrics.map(({ Name, Unit }) => {
        const values = [line[Name]].flat(); // several of a batch come together
        const isNumber = values.length > 0 && values.every((value) => Number.isFinite(value));
        if (!isNumber) throw new Error(`no ${Name} in ${text}`);
        const value = (values as number[]).reduce((sum, one) => sum + one, 0);
        const dimensions = Dimensions.map((names) =>
          Object.fromEntries(
            names.map((name) => {
              const of = line[name];
              if (typeof of !== 'string' || of === '') throw new Error(`no dimension ${name} in ${text}`);
              return [name, of];
            }),
          ),
        );
        return { namespace: Namespace, name: Name, unit: Unit, value, dimensions };
      }),
    );
  });
}

/** The sum of a metric's points that have this set of dimensions, and no more in it. */
export function sumOf(
  points: readonly MetricPoint[],
  name: string,
  dimensions: Record<string, string> = {},
): number {
  const wanted = JSON.stringify(dimensions);
  return points
    .filter((point) => point.name === name && point.dimensions.some((set) => JSON.stringify(set) === wanted))
    .reduce((sum, { value }) => sum + value, 0);
}
