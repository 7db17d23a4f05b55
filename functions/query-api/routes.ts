/** The API's routes. Each reads the request, asks the index, and answers JSON. */
import { Router } from '@aws-lambda-powertools/event-handler/http';
import type { Logger } from '@aws-lambda-powertools/logger';
import type { S3Client } from '@aws-sdk/client-s3';
import type { IndexTable } from '../shared/aws-clients.ts';
import { findCall } from './calls.ts';
import { encodeCursor, InvalidCursorError } from './cursor.ts';
import { NoCopyAnswersError, playbackAddress } from './playback.ts';
import { problem } from './problems.ts';
import { InvalidQueryError, parametersOf, readRecordingsRequest } from './requests.ts';
import { findCopies, findRecording, searchRecordings } from './search.ts';

export interface ApiDependencies {
  index: IndexTable;
  /** S3 client for the buckets of a region. */
  s3For: (region: string) => S3Client;
  /** This function's region: its copy is the nearest. */
  region: string;
  logger: Logger;
}

export function createRouter({ index, s3For, region, logger }: ApiDependencies): Router {
  const app = new Router({ logger });

  app.get('/recordings', async ({ req }) => {
    const { query, page } = readRecordingsRequest(new URL(req.url).searchParams, new Date());
    const { items, last } = await searchRecordings(index, query, page);
    const nextCursor = last && encodeCursor({ parameters: parametersOf(query), after: last });
    return { items, ...(nextCursor && { nextCursor }) };
  });

  app.get('/calls/:id', async ({ params }) => {
    const id = params.id as string;
    const call = await findCall(index, id);
    return call
      ? { ...call }
      : problem(404, 'No such call', `there is no recording of a call ${id}, or it is not indexed yet`);
  });

  app.get('/recordings/:id', async ({ params }) => {
    const id = params.id as string;
    const [recording, copies] = await Promise.all([findRecording(index, id), findCopies(index, id)]);
    return recording ? { ...recording, copies } : noRecording(id);
  });

  app.get('/recordings/:id/audio', async ({ params }) => {
    const id = params.id as string;
    const [recording, copies] = await Promise.all([findRecording(index, id), findCopies(index, id)]);
    if (!recording) return noRecording(id);
    const address = await playbackAddress({ s3For, region }, recording, copies, new Date());
    if (address) return { ...address };
    return problem(
      404,
      'No audio',
      `recording ${id} (${recording.status}) holds no audio: ${recording.statusReasons}`,
    );
  });

  const badRequest = async (error: Error) => problem(400, 'Bad request', error.message);
  app.errorHandler([InvalidQueryError, InvalidCursorError], badRequest);
  app.errorHandler(NoCopyAnswersError, async (error) => {
    logger.error('no copy can be played', { error });
    return problem(503, 'No copy answers', `${error.message}: try again`, { 'retry-after': '10' });
  });
  // The router decodes parameters of the path.
  app.errorHandler(URIError, async () =>
    problem(400, 'Bad request', 'the path is not valid: write `%` as `%25` (RFC 3986 2.1)'),
  );
  // The router takes a method without a route for not found; every resource here is for reading only.
  app.notFound(async (_, { req }) =>
    req.method === 'GET'
      ? problem(404, 'Not found', 'there is no such resource: see /recordings')
      : problem(405, 'Method not allowed', 'resources take GET and nothing else', { allow: 'GET' }),
  );
  app.errorHandler(Error, async (error) => {
    logger.error('request failed', { error });
    return problem(500, 'Internal error', 'the request could not be carried out: try again');
  });
  return app;
}

const noRecording = (id: string): Response =>
  problem(404, 'No such recording', `there is no recording ${id}, or it is not indexed yet`);
