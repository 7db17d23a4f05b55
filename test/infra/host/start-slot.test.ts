/** How an instance becomes its slot: `infra/host/start-slot.sh`, run as it is. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { eventually } from '../../e2e/eventually.ts';
import { type BlockDevice, makeBlockDevice, run, whyNoBlockDevice } from '../../helpers/block-device.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { LOG_GROUP, SlotHost } from './slot-host.ts';

/** Larger than what is looked at before a disk is taken for blank. */
const DISK_MIB = 300;

jest.setTimeout(180_000); // a dozen starts of the AWS CLI in each test

const why = whyNoBlockDevice();

(why ? describe.skip : describe)(`a host that starts${why ? ` (skipped: ${why})` : ''}`, () => {
  let emulator: TestEmulator;
  let host: SlotHost;
  const disks: BlockDevice[] = [];
  beforeAll(async () => {
    emulator = await startTestEmulator();
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(() => emulator?.stop());
  beforeEach(async () => {
    host = await SlotHost.start(emulator);
  }, EMULATOR_START_TIMEOUT_MS);
  afterEach(async () => {
    await host?.close();
    for (const disk of disks.splice(0)) disk.remove();
  });

  const disk = (fill?: (file: string) => void): BlockDevice => {
    const made = makeBlockDevice(DISK_MIB, fill);
    disks.push(made);
    host.plugIn(made.path);
    return made;
  };
  const typeOf = (device: string) => run('blkid', '-p', '-s', 'TYPE', '-o', 'value', device).trim();
  const hashOf = (path: string) => run('sha256sum', path);
  /** A step that fails is tried once more at most. */
  const ONCE = { STEP_SECONDS: '1' };

  it('gets volume, file system and address, joins the cluster, and finds all that again at the next boot', async () => {
    const { path } = disk();
    const first = host.start('start-slot.sh');
    expect({ code: await first.exited, output: first.output() }).toMatchObject({ code: 0 });
    expect(first.output()).toContain('which is blank');
    expect(await host.holderOfVolume()).toBe(host.instanceId);
    expect(await host.holderOfAddress()).toBe(host.instanceId);
    expect(typeOf(path)).toBe('ext4');
    const { uid, gid, mode } = statSync(host.spool);
    expect([uid, gid, mode & 0o777]).toEqual([1000, 1000, 0o700]);
    expect(run('findmnt', '-n', '-o', 'OPTIONS', host.spool)).toMatch(/nosuid.*nodev.*noexec.*noatime/);
    expect(readFileSync(join(host.etc, 'ecs/ecs.config'), 'utf8').split('\n')).toEqual(
      expect.arrayContaining([
        'ECS_CLUSTER=siprec-recorders',
        'ECS_INSTANCE_ATTRIBUTES={"siprec-ha.slot":"use1-1"}',
        'ECS_CONTAINER_STOP_TIMEOUT=7260s',
        'ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST=true',
      ]),
    );
    expect(host.asked()).toContain('systemctl start --no-block ecs');

    // The machine boots again: attached, unmounted, with a recording on it.
    writeFileSync(join(host.spool, 'recording'), 'kept');
    run('umount', host.spool);
    const before = host.asked().length;
    const second = host.start('start-slot.sh');
    expect({ code: await second.exited, output: second.output() }).toMatchObject({ code: 0 });
    expect(readFileSync(join(host.spool, 'recording'), 'utf8')).toBe('kept');
    expect(second.output()).not.toContain('blank');
    const changes = /attach-volume|associate-address|detach-volume/;
    expect(
      host
        .asked()
        .slice(before)
        .filter((line) => changes.test(line)),
    ).toEqual([]);
  });

  it('mends a file system that nobody unmounted, and loses nothing of it', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'siprec-ha-unclean-'));
    const original = makeBlockDevice(DISK_MIB);
    try {
      run('mkfs.ext4', '-q', original.path);
      run('mount', original.path, elsewhere);
      writeFileSync(join(elsewhere, 'recording'), 'journal');
      run('sync');
      // As a disk is whose host has lost its power.
      disk((file) => copyFileSync(original.file, file));
    } finally {
      original.remove();
      rmSync(elsewhere, { recursive: true });
    }
    const { exited, output } = host.start('start-slot.sh');
    expect({ code: await exited, output: output() }).toMatchObject({ code: 0 });
    expect(output()).toMatch(/recovering journal/);
    expect(output()).not.toContain('blank');
    expect(readFileSync(join(host.spool, 'recording'), 'utf8')).toBe('journal');
  });

  it.each<[what: string, fill: (file: string) => void, message: RegExp, contents?: typeof hashOf]>([
    ['a file system of another kind', (file) => run('mkswap', file), /no ext4: it is left alone/],
    [
      'an ext4 whose beginning is lost',
      (file) => {
        run('mkfs.ext4', '-q', file);
        run('dd', 'if=/dev/zero', `of=${file}`, 'bs=1M', 'count=1', 'conv=notrunc');
      },
      /no ext4: it is left alone/,
    ],
    [
      'an ext4 that cannot be mended without a decision',
      (file) => {
        run('mkfs.ext4', '-q', '-b', '4096', file);
        run('debugfs', '-w', '-R', 'clri <2>', file); // its root directory
        run('debugfs', '-w', '-R', 'set_super_value state 2', file);
      },
      /a person must look at it/,
      (path) => run('blkid', '-p', '-s', 'UUID', '-o', 'value', path), // e2fsck notes its visit
    ],
  ])('leaves %s as it is, and says so', async (_, fill, message, contents = hashOf) => {
    const { path } = disk(fill);
    const before = contents(path);
    await host.aws(`logs create-log-group --log-group-name ${LOG_GROUP}`).catch(() => undefined);
    const { exited, output } = host.start('start-slot.sh', ONCE);
    expect(await exited).toBe(1);
    expect(output()).toMatch(message);
    expect(contents(path)).toBe(before);
    expect(await host.reported()).toContainEqual(expect.stringMatching(/^cannot start: file_system failed/));
    expect(host.asked()).toContainEqual(expect.stringMatching(/signal-resource .*--status FAILURE$/));
    expect(host.asked()).not.toContain('systemctl start --no-block ecs');
    expect(await host.holderOfAddress()).toBe(''); // whoever has it keeps it
  });

  it('waits for the volume of a predecessor that still drains, and takes the address after it', async () => {
    const predecessor = await host.launch();
    await host.attachTo(predecessor);
    await host.giveAddressTo(predecessor);
    disk();
    const { exited, output } = host.start('start-slot.sh');
    await eventually('a second look', () => (output().split('waits for').length > 2 ? true : undefined));
    expect(output()).toContain(`which ${predecessor} has (running)`);
    expect(await host.holderOfAddress()).toBe(predecessor);
    await host.detach();
    expect({ code: await exited, output: output() }).toMatchObject({ code: 0 });
    expect(output()).toContain(`takes ${host.allocationId} from ${predecessor}`);
    expect([await host.holderOfVolume(), await host.holderOfAddress()]).toEqual([
      host.instanceId,
      host.instanceId,
    ]);
    expect(host.asked().join('\n')).not.toContain('--force');
  });

  it('takes the volume from an instance that is gone', async () => {
    const dead = await host.launch();
    await host.attachTo(dead);
    await host.terminate(dead);
    disk();
    const { exited, output } = host.start('start-slot.sh');
    expect({ code: await exited, output: output() }).toMatchObject({ code: 0 });
    expect(output()).toContain(`from ${dead}, which is gone`);
    expect(host.asked()).toContainEqual(expect.stringMatching(/detach-volume .*--force$/));
    expect(await host.holderOfVolume()).toBe(host.instanceId);
  });

  it('says which step fails for good: to CloudFormation, to the log and as a metric', async () => {
    await host.aws(`logs create-log-group --log-group-name ${LOG_GROUP}`).catch(() => undefined);
    disk();
    host.allocationId = 'eipalloc-00000000000000000';
    const { exited, output } = host.start('start-slot.sh', { STEP_SECONDS: '2' });
    expect(await exited).toBe(1);
    expect(output()).toContain('InvalidAllocationID.NotFound');
    expect(await host.reported()).toContainEqual(expect.stringMatching(/^cannot start: address failed/));
    const asked = host.asked();
    expect(asked).toContainEqual(
      `cloudformation signal-resource --stack-name siprec-recorders --logical-resource-id Group1 --unique-id ${host.instanceId} --status FAILURE`,
    );
    expect(
      await host.aws(
        'cloudwatch list-metrics --namespace SiprecHa --query Metrics[].[MetricName,Dimensions[0].Value] --output text',
      ),
    ).toBe('SlotStartFailures\tuse1-1');
    expect(asked).not.toContain('systemctl start --no-block ecs');
  });

  it('fetches certificate and key, for the recorder alone to read', async () => {
    disk();
    for (const part of ['cert', 'key', 'chain'])
      await host.aws(
        `secretsmanager create-secret --name siprec/sip-tls/${part} --secret-string ${part}-pem`,
      );
    const { exited, output } = host.start('start-slot.sh', { TLS_SECRET: 'siprec/sip-tls' });
    expect({ code: await exited, output: output() }).toMatchObject({ code: 0 });
    const file = join(host.directory, 'run/certificates/key.pem');
    expect(readFileSync(file, 'utf8').trim()).toBe('key-pem');
    const { uid, mode } = statSync(file);
    expect([uid, mode & 0o777]).toEqual([1000, 0o600]);
  });
});
