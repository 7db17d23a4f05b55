import { ApiError, apiGet } from '../../local/api-client.ts';
import { LocalCloudError } from '../../local/cloud/errors.ts';
import { startTestApi } from './test-api.ts';

describe('apiGet', () => {
  it('asks for the resource with a signature of its own region and service', async () => {
    const api = await startTestApi(() => ({ body: { items: [] } }));
    expect(
      await apiGet(api.options, '/recordings', { from: '2026-03-02T09:15:00.250Z', limit: '5' }),
    ).toEqual({
      items: [],
    });
    await api.close();
    const [request] = api.requests;
    expect(request?.url).toBe('/stage/recordings?from=2026-03-02T09%3A15%3A00.250Z&limit=5');
    expect(request?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=000000000000\/\d{8}\/us-east-1\/execute-api\/aws4_request, SignedHeaders=host;/,
    );
  });

  it('throws what the API answers', async () => {
    const api = await startTestApi(() => ({ status: 404, body: { title: 'no such recording' } }));
    const asking = apiGet(api.options, '/recordings/1');
    await expect(asking).rejects.toThrow(ApiError);
    await expect(asking).rejects.toMatchObject({
      status: 404,
      message: 'GET /stage/recordings/1 answered 404: {"title":"no such recording"}',
    });
    await api.close();
  });

  it('says that nobody answers', async () => {
    const api = await startTestApi(() => ({ body: {} }));
    await api.close();
    const asking = apiGet(api.options, '/recordings');
    await expect(asking).rejects.toThrow(LocalCloudError);
    await expect(asking).rejects.toThrow(
      /the query API at http:\/\/127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED/,
    );
  });
});
