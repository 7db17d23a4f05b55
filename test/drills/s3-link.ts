/** The way to S3, which a drill can close, slow down or turn into one that leads nowhere. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

const HOST = '127.0.0.1';

/** `refuse`: connections are refused, and broken; `hang`: they are taken, and nothing ever comes back. */
export type LinkState =
  | { kind: 'fine' }
  | { kind: 'refuse' }
  | { kind: 'hang' }
  /** To S3, of each connection; `delayMs` before every answer. */
  | { kind: 'slow'; bytesPerSecond: number; delayMs: number };

export class S3Link {
  readonly #target: number;
  readonly #connections = new Set<Socket>();
  #server: Server;
  #port = 0;
  #state: LinkState = { kind: 'fine' };

  /** @param endpoint of S3 */
  static async start(endpoint: string): Promise<S3Link> {
    const link = new S3Link(Number(new URL(endpoint).port));
    await link.#listen();
    return link;
  }

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer();
  }

  get endpoint(): string {
    return `http://${HOST}:${this.#port}`;
  }

  /** Requests that are under way are broken off. */
  async turn(state: LinkState): Promise<void> {
    const wasClosed = this.#state.kind === 'refuse';
    this.#state = state;
    for (const socket of this.#connections) socket.destroy();
    if (state.kind === 'refuse') await this.close();
    else if (wasClosed) await this.#listen();
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  /** On the same port each time: whoever was refused finds it again. */
  async #listen(): Promise<void> {
    this.#server = createServer((client) => this.#connect(client));
    this.#server.listen(this.#port, HOST);
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  #connect(client: Socket): void {
    const state = this.#state;
    this.#keep(client);
    if (state.kind === 'hang') return void client.resume();
    const server = connect(this.#target, HOST);
    this.#keep(server);
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
    if (state.kind === 'slow') {
      const { bytesPerSecond, delayMs } = state;
      pump(client, server, (bytes) => (bytes / bytesPerSecond) * 1000);
      pump(server, client, () => delayMs);
    } else {
      client.pipe(server);
      server.pipe(client);
    }
  }

  #keep(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('error', () => {}); // broken off
    socket.on('close', () => this.#connections.delete(socket));
  }
}

/** Passes bytes on, one chunk after the other, each after a time that depends on its length. */
function pump(from: Socket, to: Socket, delayOf: (bytes: number) => number): void {
  from.on('data', (chunk: Buffer) => {
    from.pause();
    setTimeout(() => {
      if (to.writable) to.write(chunk);
      from.resume();
    }, delayOf(chunk.length));
  });
  from.on('end', () => to.end());
}
