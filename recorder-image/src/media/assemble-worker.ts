/** Worker thread that assembles recordings. `assemble-in-worker.ts` is its other side. */
import { setPriority } from 'node:os';
import { assemble } from './assemble.ts';
import { serve } from './worker-channel.ts';

// On Linux this is the priority of the calling thread alone: receiving packets comes before assembling them.
setPriority(10);

const service = { assemble };
export type AssemblyService = typeof service;

serve(service);
