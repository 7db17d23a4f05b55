/**
 * The multipart uploads that were begun for a recording, in a small file in its spool directory: what a crash or an outage
 * interrupted is resumed by its upload id, and what nobody will complete can be aborted.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

export const UPLOADS_FILE = 'uploads.json';

const begunSchema = z.object({
  bucket: z.string(),
  key: z.string(),
  uploadId: z.string(),
  /** Of the whole file, in hex: an upload is only resumed with the bytes that it was begun with. */
  sha256: z.string(),
  partBytes: z.number().int().positive(),
  /** S3 has confirmed the whole object. */
  completed: z.boolean().optional(),
});
export type BegunUpload = z.infer<typeof begunSchema>;

const fileSchema = z.array(begunSchema);

export class BegunUploads {
  readonly #path: string;
  #uploads: BegunUpload[];

  /** @returns those of a recording; none if the file is not there or damaged, for then they begin anew */
  static async read(directory: string): Promise<BegunUploads> {
    const path = join(directory, UPLOADS_FILE);
    try {
      return new BegunUploads(path, fileSchema.parse(JSON.parse(await readFile(path, 'utf8'))));
    } catch {
      return new BegunUploads(path, []);
    }
  }

  private constructor(path: string, uploads: BegunUpload[]) {
    this.#path = path;
    this.#uploads = uploads;
  }

  get incomplete(): readonly BegunUpload[] {
    return this.#uploads.filter(({ completed }) => !completed);
  }

  /** The last upload of these bytes to this key. */
  find(wanted: Pick<BegunUpload, 'bucket' | 'key' | 'sha256' | 'partBytes'>): BegunUpload | undefined {
    return this.#uploads.findLast(
      ({ bucket, key, sha256, partBytes }) =>
        bucket === wanted.bucket &&
        key === wanted.key &&
        sha256 === wanted.sha256 &&
        partBytes === wanted.partBytes,
    );
  }

  async add(upload: BegunUpload): Promise<void> {
    this.#uploads = [...this.#uploads, upload];
    await this.#save();
  }

  async complete({ uploadId }: BegunUpload): Promise<void> {
    this.#uploads = this.#uploads.map((upload) =>
      upload.uploadId === uploadId ? { ...upload, completed: true } : upload,
    );
    await this.#save();
  }

  /** S3 does not know it any more. */
  async forget({ uploadId }: BegunUpload): Promise<void> {
    this.#uploads = this.#uploads.filter((upload) => upload.uploadId !== uploadId);
    await this.#save();
  }

  /** A disk that does not take it costs only the resumption: the upload goes on. */
  async #save(): Promise<void> {
    const temporary = `${this.#path}.tmp`;
    try {
      await writeFile(temporary, JSON.stringify(this.#uploads), { mode: 0o600 });
      await rename(temporary, this.#path);
    } catch {
      // Begun anew after a restart; the bucket's lifecycle rule removes what is left of it.
    }
  }
}
