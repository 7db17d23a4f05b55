/** What API Gateway answers by itself, as the problem documents of RFC 9457 that the function behind it answers with. */
import { ResponseType, type RestApi } from 'aws-cdk-lib/aws-apigateway';

interface GatewayProblem {
  type: ResponseType;
  /** That of API Gateway when absent, which then is not known here. */
  status?: number;
  title: string;
  detail: string;
  headers?: Record<string, string>;
}

const CHALLENGE = { 'WWW-Authenticate': 'AWS4-HMAC-SHA256' };

const PROBLEMS: readonly GatewayProblem[] = [
  {
    // Also what it says of paths that it does not know; here every path leads to the function.
    type: ResponseType.MISSING_AUTHENTICATION_TOKEN,
    status: 401,
    title: 'Not signed in',
    detail: 'sign the request by AWS Signature Version 4, service execute-api',
    headers: CHALLENGE,
  },
  {
    type: ResponseType.INVALID_SIGNATURE,
    status: 401,
    title: 'Not signed in',
    detail: 'the signature is wrong: check key, region, service execute-api, and the clock',
    headers: CHALLENGE,
  },
  {
    type: ResponseType.EXPIRED_TOKEN,
    status: 401,
    title: 'Not signed in',
    detail: 'the credentials have expired: get new ones',
    headers: CHALLENGE,
  },
  {
    type: ResponseType.ACCESS_DENIED,
    status: 403,
    title: 'Forbidden',
    detail: 'IAM does not let you call this operation: it needs execute-api:Invoke',
  },
  {
    type: ResponseType.WAF_FILTERED,
    status: 403,
    title: 'Forbidden',
    detail:
      'the firewall takes the request for an attack: leave out what looks like code, paths or addresses of hosts',
  },
  {
    type: ResponseType.THROTTLED,
    status: 429,
    title: 'Too many requests',
    detail: 'try again in a moment',
    headers: { 'Retry-After': '1' },
  },
  {
    type: ResponseType.REQUEST_TOO_LARGE,
    status: 413,
    title: 'Content too large',
    detail: 'the request is larger than API Gateway takes',
  },
  {
    type: ResponseType.INTEGRATION_TIMEOUT,
    status: 504,
    title: 'Gateway timeout',
    detail: 'the request took too long: try again',
  },
  {
    type: ResponseType.INTEGRATION_FAILURE,
    status: 502,
    title: 'Bad gateway',
    detail: 'the request could not be carried out: try again',
  },
  { type: ResponseType.DEFAULT_4XX, title: 'Bad request', detail: 'API Gateway refuses the request' },
  { type: ResponseType.DEFAULT_5XX, title: 'Internal error', detail: 'try again' },
];

export function addGatewayProblems(api: RestApi): void {
  for (const { type, status, title, detail, headers = {} } of PROBLEMS)
    api.addGatewayResponse(type.responseType, {
      type,
      ...(status && { statusCode: String(status) }),
      responseHeaders: Object.fromEntries(
        Object.entries({ ...headers, 'Content-Type': 'application/problem+json' }).map(([name, value]) => [
          name,
          `'${value}'`,
        ]),
      ),
      templates: {
        'application/json': JSON.stringify({ type: 'about:blank', title, ...(status && { status }), detail }),
      },
    });
}
