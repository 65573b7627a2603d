/** A TCP balancer before the nodes of one relay, as an operator has it: to the first that takes the connection. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Balancer {
  readonly url: string;
  private sockets = new Set<Socket>();
  private lives: number[] = []; // the nodes' ports of the live sockets

  private constructor(
    private server: Server,
    private ports: number[],
    port: number,
  ) {
    this.url = `http://127.0.0.1:${port}`;
    server.on('connection', (client) => this.pass(client, this.ports));
  }

  /** Listens on port for the nodes on ports. */
  static async start(port: number, ports: number[]): Promise<Balancer> {
    const server = createServer({ pauseOnConnect: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return new Balancer(server, ports, port);
  }

  /** From now on that node is the first; what is connected is cut. */
  prefer(port: number): void {
    this.ports = [port, ...this.ports.filter((other) => other !== port)];
    for (const socket of this.sockets) socket.destroy();
  }

  /** How many live sockets go to the node on that port. */
  live(port: number): number {
    return this.lives.filter((p) => p === port).length;
  }

  private pass(client: Socket, [port, ...others]: number[]): void {
    if (port === undefined) return void client.destroy();
    const node = connect(port, '127.0.0.1');
    node.once('error', () => this.pass(client, others));
    node.once('connect', () => {
      node.removeAllListeners('error');
      client.once('data', (request) => {
        if (!request.toString('latin1').startsWith('GET /live/v1')) return;
        this.lives.push(port);
        client.once('close', () => this.lives.splice(this.lives.indexOf(port), 1));
      });
      for (const [from, to] of [
        [client, node],
        [node, client],
      ] as const) {
        this.sockets.add(from);
        from.on('error', () => undefined);
        from.once('close', () => {
          this.sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
