/**
 * Sends one RTP stream of PCMU with a tone: the second stream of a SIPp call, which SIPp itself cannot send.
 *
 *     node test/e2e/sipp/send-tone.ts ADDRESS PORT HZ SECONDS
 */
import { openToneStream, sendTones } from '../../../local/broadworks/rtp-tone.ts';

const [address = '', ...numbers] = process.argv.slice(2);
const [port, hz, seconds] = numbers.map(Number) as [number, number, number];
const stream = await openToneStream('127.0.0.1', 'pcmu', [hz]);
await sendTones([{ stream, destination: { address, port } }], seconds * 1000, new AbortController().signal);
await stream.close();
