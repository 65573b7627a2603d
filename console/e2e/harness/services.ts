/** PostgreSQL and NATS, started for one test on ports of their own. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { binary } from './binaries.ts';
import { freePort, tempDir } from './programs.ts';
import { Proc, until } from './proc.ts';

export class Postgres {
  private constructor(
    readonly url: string,
    private proc: Proc,
  ) {}

  static async start(): Promise<Postgres> {
    const root = '/usr/lib/postgresql';
    const version = readdirSync(root).sort((a, b) => Number(b) - Number(a))[0] ?? '';
    const bin = join(root, version, 'bin');
    const dir = tempDir('pg');
    const port = await freePort();
    // PostgreSQL refuses to run as root: then it runs as the user of its package.
    const su =
      userInfo().uid === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
    if (su.length > 0) {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
      chownSync(dir, id('-u'), id('-g'));
    }
    chmodSync(dir, 0o700);
    const run = (name: string, ...args: string[]): [string, string[]] => {
      const [command = '', ...rest] = [...su, join(bin, name), ...args];
      return [command, rest];
    };
    const data = join(dir, 'data');
    execFileSync(...run('initdb', '-D', data, '-U', 'oriel', '-A', 'trust', '-E', 'UTF8', '--no-sync'), {
      stdio: 'pipe',
    });
    const [command, args] = run(
      'postgres',
      ...['-D', data, '-p', String(port), '-k', dir, '-h', '127.0.0.1', '-c', 'fsync=off'],
    );
    const proc = Proc.start('postgres', command, args);
    await proc.line(/ready to accept connections/);
    return new Postgres(`postgres://oriel@127.0.0.1:${port}/postgres?sslmode=disable`, proc);
  }

  async stop(): Promise<void> {
    this.proc.kill('SIGINT'); // fast shutdown: does not wait for clients
    await this.proc.stop();
  }
}

export class Nats {
  private constructor(
    readonly url: string,
    private proc: Proc,
  ) {}

  static async start(): Promise<Nats> {
    const port = await freePort();
    const proc = Proc.start('nats-server', binary('nats-server'), ['-a', '127.0.0.1', '-p', String(port)]);
    await until(
      'NATS',
      () => /Server is ready/.test(proc.text()),
      10_000,
      () => proc.text(),
    );
    return new Nats(`nats://127.0.0.1:${port}`, proc);
  }

  async stop(): Promise<void> {
    await this.proc.stop();
  }
}
