import type { AssemblyService } from '../../../recorder-image/src/media/assemble-worker.ts';
import { WorkerChannel, WorkerExitedError } from '../../../recorder-image/src/media/worker-channel.ts';

describe('WorkerChannel', () => {
  it('rejects all calls, with the reason, when a worker cannot run', async () => {
    const exited = Promise.withResolvers<WorkerExitedError>();
    const channel = new WorkerChannel<AssemblyService>({ script: 'no-such-worker', onExit: exited.resolve });
    const pending = channel.call('assemble', { streams: [], outPath: '' });
    await expect(pending).rejects.toThrow(WorkerExitedError);
    const error = await exited.promise;
    expect(error.script).toBe('no-such-worker');
    expect(error.cause).toMatchObject({ code: expect.stringContaining('MODULE_NOT_FOUND') });
    await expect(channel.call('assemble', { streams: [], outPath: '' })).rejects.toBe(error);
  });

  it('takes a worker that it stops for no accident', async () => {
    const exits: WorkerExitedError[] = [];
    const channel = new WorkerChannel<AssemblyService>({
      script: 'assemble-worker',
      onExit: (error) => exits.push(error),
    });
    await channel.stop();
    expect(exits).toEqual([]);
    await expect(channel.call('assemble', { streams: [], outPath: '' })).rejects.toThrow(WorkerExitedError);
  });
});
