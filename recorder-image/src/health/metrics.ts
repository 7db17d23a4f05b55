/**
 * Metrics in Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). All of them are
 * read from what the recorder counts anyway, at the moment of the scrape: there is nothing for a client library to keep.
 */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;

export interface Metric {
  /** In base units; a counter's ends with `_total`. */
  name: string;
  help: string;
  type: 'counter' | 'gauge';
  /** One value, or one for each set of labels. */
  values: number | readonly [Labels, number][];
}

export const counter = (name: string, help: string, values: Metric['values']): Metric => ({
  name,
  help,
  type: 'counter',
  values,
});

export const gauge = (name: string, help: string, values: Metric['values']): Metric => ({
  name,
  help,
  type: 'gauge',
  values,
});

/** The body of an answer to a scrape. */
export const exposition = (metrics: readonly Metric[]): string =>
  metrics.map((metric) => `${linesOf(metric).join('\n')}\n`).join('');

function linesOf({ name, help, type, values }: Metric): string[] {
  const samples: readonly [Labels, number][] = typeof values === 'number' ? [[{}, values]] : values;
  return [
    `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${labelled(labels)} ${inWords(value)}`),
  ];
}

function labelled(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\\n"]/g, escaped)}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}

const escaped = (character: string): string => (character === '\n' ? '\\n' : `\\${character}`);

/** As Go's `ParseFloat` reads it. */
function inWords(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}
