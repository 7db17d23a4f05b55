/** Errors as RFC 9457 problem details. */

/** An answer of type `application/problem+json`. `detail` is for the person who made the request. */
export const problem = (
  status: number,
  title: string,
  detail: string,
  headers: Record<string, string> = {},
): Response =>
  new Response(JSON.stringify({ type: 'about:blank', title, status, detail }), {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
  });
