/** The applications: their connections to the admin port, their secrets, and which of them wants which request. */
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import {
  type AppMessage,
  encodeReply,
  frameReader,
  parseAppMessage,
  type SipFromApp,
  WireError,
} from './wire.ts';

/** The version that is imitated; drachtio-srf reads it to decide what it may use. */
const VERSION = 'v0.9.10';

/** drachtio-server's receive buffer per application, which overwrites itself silently when it is full. */
const DRACHTIO_BUFFER_BYTES = 12_228;

/** The methods that an application can ask for, in lower case. */
export const ROUTABLE_VERBS = new Set(
  'ack bye cancel info invite message notify options prack publish refer register subscribe update'.split(
    ' ',
  ),
);

export interface AppsOptions {
  address: string;
  port: number;
  secret: string;
  /** What drachtio-server tells applications about its SIP sockets: `udp/127.0.0.1:5060,tcp/...`. */
  hostports: () => string;
  log: Logger;
}

interface AppsEvents {
  sip: [app: App, message: SipFromApp];
}

/** One connected application. */
export class App {
  readonly verbs = new Set<string>();
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get connected(): boolean {
    return this.#socket.writable;
  }

  /** Sends a frame of `wire.ts`; nothing if the application is gone. */
  send(frame: Buffer): void {
    if (this.connected) this.#socket.write(frame);
  }

  /** Sends what is under way, then closes. */
  disconnect(): void {
    this.#socket.destroySoon();
  }

  /** Closes at once. */
  abort(): void {
    this.#socket.destroy();
  }
}

/** Listens on the admin port. @throws the system's error if the port cannot be opened */
export async function listenForApps(options: AppsOptions): Promise<Apps> {
  const server = createServer({ noDelay: true });
  server.listen({ host: options.address, port: options.port });
  await once(server, 'listening');
  return new Apps(server, options);
}

export class Apps extends EventEmitter<AppsEvents> {
  readonly port: number;
  readonly #server: Server;
  readonly #options: AppsOptions;
  /** In the order in which their turn comes. */
  #apps: App[] = [];

  /** Use `listenForApps`. */
  constructor(server: Server, options: AppsOptions) {
    super();
    this.#server = server;
    this.#options = options;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => this.#adopt(socket));
  }

  /** The next application in turn that has the verb, if any. */
  select(verb: string): App | undefined {
    const app = this.#apps.find((candidate) => candidate.connected && candidate.verbs.has(verb));
    if (app) this.#apps = [...this.#apps.filter((other) => other !== app), app];
    return app;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const app of this.#apps) app.abort();
    await closed;
  }

  #adopt(socket: Socket): void {
    const { log } = this.#options;
    const app = new App(socket);
    const read = frameReader();
    this.#apps.push(app);
    socket.on('data', (chunk) => {
      try {
        for (const frame of read(chunk)) {
          if (frame.length > DRACHTIO_BUFFER_BYTES) {
            log.warn(
              { bytes: frame.length },
              'drachtio-server would have corrupted this frame: its buffer is 12,228 bytes',
            );
          }
          if (app.connected) this.#handle(app, parseAppMessage(frame));
        }
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        log.error({ err: error }, 'application disconnected');
        app.abort();
      }
    });
    socket.on('error', (err) => log.info({ err }, 'connection to application failed'));
    socket.on('close', () => {
      this.#apps = this.#apps.filter((other) => other !== app);
      log.info('application gone');
    });
  }

  /** Everything that is not SIP. As in drachtio-server, what comes before `authenticate` is obeyed all the same. */
  #handle(app: App, message: AppMessage): void {
    const { id } = message;
    switch (message.type) {
      case 'sip':
        this.emit('sip', app, message);
        break;
      case 'authenticate':
        if (message.secret === this.#options.secret) {
          const hostports = this.#options.hostports();
          app.send(encodeReply(id, 'OK', hostports, VERSION, hostports));
        } else this.#reject(app, id, 'incorrect secret');
        break;
      case 'route':
        if (ROUTABLE_VERBS.has(message.verb)) {
          app.verbs.add(message.verb);
          app.send(encodeReply(id, 'OK'));
        } else this.#reject(app, id, 'Route request includes unsupported verb');
        break;
      case 'remove_route':
        if (app.verbs.delete(message.verb)) app.send(encodeReply(id, 'OK'));
        else this.#reject(app, id, 'Route request includes unsupported verb');
        break;
      case 'ping':
        app.send(encodeReply(id, 'OK', 'pong'));
        break;
      case 'proxy':
        // NOK, not NO: the only verdict that drachtio-srf's proxy call takes for a failure.
        app.send(encodeReply(id, 'NOK', 'the development SIP server does not proxy'));
        break;
      case 'unknown':
        this.#reject(app, id, `Unknown message type ${message.name}`);
        break;
    }
  }

  #reject(app: App, id: string, reason: string): void {
    this.#options.log.warn({ reason }, 'application rejected');
    app.send(encodeReply(id, 'NO', reason));
    app.disconnect();
  }
}
