/** What several tests of metadata need. */
import { readdirSync } from 'node:fs';
import { type MLine, readOffer } from '../../../recorder-image/src/sdp/offer.ts';
import { readMetadata } from '../../../recorder-image/src/siprec/metadata.ts';
import type { RecordingMetadata } from '../../../recorder-image/src/siprec/model.ts';
import { metadataFixture } from '../../fixtures/load.ts';

/** Of every document in test/fixtures/metadata. */
export const metadataFixtureNames = (): string[] =>
  readdirSync(new URL('../../fixtures/metadata/', import.meta.url))
    .filter((file) => file.endsWith('.xml'))
    .map((file) => file.replace(/\.xml$/, ''))
    .sort();

export const metadataOf = (name: string): RecordingMetadata => readMetadata(metadataFixture(name));

/** An RFC 7865 document around some elements. */
export const rfc7865 = (content: string, mode = 'complete'): string =>
  `<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>${mode}</datamode>${content}</recording>`;

export interface OfferedMLine {
  label?: string;
  port?: number;
  address?: string;
  direction?: string;
}

/** The m-lines of an offer; sendonly to 192.0.2.20 unless something else is said. */
export const offered = (...mLines: OfferedMLine[]): MLine[] =>
  readOffer(
    `v=0\r\n${mLines
      .map(
        ({ label, port = 4000, address = '192.0.2.20', direction = 'sendonly' }) =>
          `m=audio ${port} RTP/AVP 0\r\nc=IN IP4 ${address}\r\n${direction && `a=${direction}\r\n`}${
            label ? `a=label:${label}\r\n` : ''
          }`,
      )
      .join('')}`,
  ).mLines;
