/** Errors as RFC 9457 problem details. */
import { z } from 'zod';

export const PROBLEM_TYPE = 'application/problem+json';

export const problemSchema = z.object({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  /** For the person who made the request. */
  detail: z.string(),
});
export type Problem = z.infer<typeof problemSchema>;

/** What a status means in this API: the title of its problems, and its description in the OpenAPI document. */
export const PROBLEM_TITLES = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  415: 'Unsupported media type',
  429: 'Too many requests',
  500: 'Internal error',
  502: 'Bad gateway',
  503: 'Unavailable',
  504: 'Gateway timeout',
} as const;
export type ProblemStatus = keyof typeof PROBLEM_TITLES;

/** A request cannot be answered; the API answers with this problem. `headers` go with it. */
export class ProblemError extends Error {
  readonly status: ProblemStatus;
  readonly headers: Record<string, string>;

  constructor(status: ProblemStatus, detail: string, headers: Record<string, string> = {}) {
    super(detail);
    this.name = 'ProblemError';
    this.status = status;
    this.headers = headers;
  }

  toProblem(): Problem {
    return {
      type: 'about:blank',
      title: PROBLEM_TITLES[this.status],
      status: this.status,
      detail: this.message,
    };
  }
}

export const noRecording = (id: string): ProblemError =>
  new ProblemError(404, `there is no recording ${id}, or it is not indexed yet`);

export const noCall = (id: string): ProblemError =>
  new ProblemError(404, `there is no recording of a call ${id}, or it is not indexed yet`);
