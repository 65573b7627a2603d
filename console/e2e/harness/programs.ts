/** The relay and the agent, as a person would start them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary } from './binaries.ts';
import { Proc } from './proc.ts';

/** A TCP port that is free now. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const s = createServer();
    s.once('error', reject);
    s.listen(0, '127.0.0.1', () => {
      const a = s.address();
      s.close(() => (a && typeof a === 'object' ? resolve(a.port) : reject(new Error('no port'))));
    });
  });
}

const dirs: string[] = [];
process.on('exit', () => {
  for (const d of dirs) rmSync(d, { recursive: true, force: true });
});

/** A folder that is gone when the tests are over. */
export function tempDir(name: string): string {
  const dir = mkdtempSync(join(tmpdir(), `oriel-${name}-`));
  dirs.push(dir);
  return dir;
}

export type RelayOptions = {
  port?: number;
  data?: string;
  args?: string[];
  scheme?: 'http' | 'https';
  /** the address it is to be opened at, where that is not the one it listens on */
  publicUrl?: string;
  /** a command that runs the program elsewhere, such as in a network namespace */
  within?: string[];
};

export class Relay {
  private constructor(
    readonly url: string,
    readonly port: number,
    readonly data: string,
    /** the port of its TURN */
    readonly turn: number,
    private options: RelayOptions,
    private proc: Proc,
  ) {}

  static async start(options: RelayOptions = {}): Promise<Relay> {
    const port = options.port ?? (await freePort());
    const data = options.data ?? tempDir('relay');
    const turn = await freePort();
    const args = [
      'serve',
      ...['--data', data, '--listen', `127.0.0.1:${port}`],
      ...['--turn-udp', `127.0.0.1:${turn}`, '--turn-tcp', `127.0.0.1:${turn}`],
      ...['--turn-allow-peers', '127.0.0.0/8'],
      ...(options.publicUrl ? ['--public-url', options.publicUrl] : []),
      ...(options.args ?? []),
    ];
    const full = { ...options, port, data, args: args.slice(1) };
    const url = `${options.scheme ?? 'http'}://127.0.0.1:${port}`;
    return new Relay(
      url,
      port,
      data,
      turn,
      full,
      await Relay.launch(options.publicUrl ?? url, args, options.within),
    );
  }

  private static async launch(url: string, args: string[], within: string[] = []): Promise<Proc> {
    const [command = '', ...rest] = [...within, binary('oriel-relay'), ...args];
    const proc = Proc.start('relay', command, rest);
    await proc.line(new RegExp(`${url}`), 30_000);
    return proc;
  }

  async ownerLink(): Promise<string> {
    const [link] = await this.proc.line(/https?:\/\/\S+\/owner#\S+/);
    return link;
  }

  get pid(): number {
    return this.proc.pid;
  }

  log(): string {
    return this.proc.text();
  }

  /** SIGKILL: no goodbye, nothing flushed. */
  async crash(): Promise<void> {
    this.proc.kill('SIGKILL');
    await this.proc.exit();
  }

  /** Starts again on the same port and data. */
  async restart(): Promise<void> {
    const { args = [], publicUrl, within } = this.options;
    this.proc = await Relay.launch(publicUrl ?? this.url, ['serve', ...args], within);
  }

  async stop(): Promise<void> {
    await this.proc.stop();
  }
}

export type AgentOptions = {
  relays: string[];
  token?: string;
  data?: string;
  display?: string;
  args?: string[];
  within?: string[];
};

export class Agent {
  readonly data: string;
  private proc: Proc;

  constructor(private options: AgentOptions) {
    this.data = options.data ?? tempDir('agent');
    this.proc = this.launch();
  }

  private launch(): Proc {
    const o = this.options;
    const env: Record<string, string> = { DISPLAY: '', WAYLAND_DISPLAY: '' };
    const [command = '', ...rest] = [
      ...(o.within ?? []),
      ...[binary('oriel-agent'), 'run'],
      ...o.relays.flatMap((r) => ['--relay', r]),
      ...['--data', this.data],
      ...(o.token ? ['--token', o.token] : []),
      ...(o.display ? ['--display', o.display] : []),
      ...(o.args ?? []),
    ];
    return Proc.start('agent', command, rest, { env });
  }

  get pid(): number {
    return this.proc.pid;
  }

  cpuSeconds(): number {
    return this.proc.cpuSeconds();
  }

  log(): string {
    return this.proc.text();
  }

  /** SIGKILL: the relay hears nothing of it. */
  async crash(): Promise<void> {
    this.proc.kill('SIGKILL');
    await this.proc.exit();
  }

  async restart(change: Partial<AgentOptions> = {}): Promise<void> {
    await this.stop();
    this.options = { ...this.options, ...change };
    this.proc = this.launch();
  }

  async stop(): Promise<void> {
    await this.proc.stop();
  }
}
