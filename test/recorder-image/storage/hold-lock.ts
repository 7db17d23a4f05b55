/** A process that works on a spool: takes its lock, says so, and stays until it is killed. */
import { lockSpool } from '../../../recorder-image/src/storage/spool-lock.ts';

lockSpool(process.argv[2] as string);
console.log('locked');
setInterval(() => {}, 60_000);
