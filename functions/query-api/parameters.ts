/** Parameters of a request: what each may be, and how a request's text is read into them. */
import { z } from 'zod';
import { type EntryKind, entryKey } from '../../core/index-entries.ts';
import { ProblemError } from './problems.ts';

/** Longer than any name that the index has. */
const MAX_TEXT = 256;

const timeRemedy = 'write a time by RFC 3339, such as 2026-11-23T10:00:00Z';

/** RFC 3339. In UTC its year has four digits too, by which times sort as text. */
export const time = z.iso
  .datetime({ offset: true, error: timeRemedy })
  .transform((text) => new Date(text))
  .refine((instant) => /^\d{4}-/.test(instant.toISOString()), timeRemedy);

export function wholeNumber(min: number, max: number) {
  const remedy = `write a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,10}$/, remedy)
    .transform(Number)
    .pipe(z.int(remedy).min(min, remedy).max(max, remedy))
    .meta({ type: 'integer', minimum: min, maximum: max });
}

const textRemedy = `write 1 to ${MAX_TEXT} characters`;
export const text = z.string().min(1, textRemedy).max(MAX_TEXT, textRemedy);

/** What somebody asks for, as the keys of a kind have it. */
export const key = (kind: EntryKind, remedy: string) =>
  text.transform((asked, context) => {
    const made = entryKey(kind, asked);
    if (made === undefined) context.addIssue({ code: 'custom', message: remedy });
    return made ?? z.NEVER;
  });

export const oneOf = <const Values extends readonly string[]>(values: Values) =>
  z.enum(values, { error: `write one of ${values.join(', ')}` });

/** Every value that each name came with. */
export type RawParameters = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Reads parameters.
 * @throws ProblemError 400 naming all that is unknown, malformed, out of range or given twice, with what to write instead
 */
export function readParameters<Schema extends z.ZodObject>(
  schema: Schema,
  raw: RawParameters,
): z.output<Schema> {
  const repeated = Object.entries(raw).flatMap(([name, values = []]) => (values.length > 1 ? [name] : []));
  if (repeated.length > 0) throw new ProblemError(400, `${repeated.join(', ')}: write a parameter only once`);
  const given = Object.entries(raw).flatMap(([name, values]) =>
    values?.[0] === undefined ? [] : [[name, values[0]] as const],
  );
  // Of a map without prototype, so that a parameter may be called `__proto__`, and is refused like any other.
  const result = schema.safeParse(Object.assign(Object.create(null), Object.fromEntries(given)));
  if (result.success) return result.data;
  const known = Object.keys(schema.shape);
  throw new ProblemError(
    400,
    result.error.issues.map((issue) => explain(issue, Object.fromEntries(given), known)).join('; '),
  );
}

function explain(issue: z.core.$ZodIssue, given: Record<string, string>, known: readonly string[]): string {
  if (issue.code === 'unrecognized_keys')
    return known.length > 0
      ? `${issue.keys.join(', ')}: no such parameter; there are ${known.join(', ')}`
      : `${issue.keys.join(', ')}: no such parameter; there are none`;
  const name = String(issue.path[0]);
  return `${name}=${given[name]}: ${issue.message}`;
}
