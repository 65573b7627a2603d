/** PostgreSQL, NATS and a mail server, started for one test on ports of their own. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary } from './binaries.ts';
import { freePort, tempDir } from './programs.ts';
import { Proc, until } from './proc.ts';

/** A database whose role is an ordinary owner, as in a real installation: row-level security binds it. */
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
    const superuser = ['-U', 'postgres'];
    execFileSync(...run('initdb', '-D', data, ...superuser, '-A', 'trust', '-E', 'UTF8', '--no-sync'), {
      stdio: 'pipe',
    });
    const [command, args] = run(
      'postgres',
      ...['-D', data, '-p', String(port), '-k', dir, '-h', '127.0.0.1', '-c', 'fsync=off'],
    );
    const proc = Proc.start('postgres', command, args);
    await proc.line(/ready to accept connections/);
    const made = ['-c', 'CREATE ROLE oriel LOGIN', '-c', 'CREATE DATABASE oriel OWNER oriel'];
    const there = ['-h', '127.0.0.1', '-p', String(port), '-d', 'postgres'];
    execFileSync(...run('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', ...superuser, ...there, ...made), {
      stdio: 'pipe',
    });
    return new Postgres(`postgres://oriel@127.0.0.1:${port}/oriel?sslmode=disable`, proc);
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

type Mail = { From: { Address: string }; Subject: string; Text: string; HTML: string };

/** The mail server to which a relay with these arguments sends: mailpit, which keeps what comes. */
export class Mailpit {
  readonly relayArgs: string[];

  private constructor(
    smtp: number,
    private web: number,
    private proc: Proc,
  ) {
    this.relayArgs = [
      ...['--smtp-host', '127.0.0.1', '--smtp-port', String(smtp)],
      ...['--smtp-tls', 'none', '--smtp-from', 'oriel@example.org'],
    ];
  }

  static async start(): Promise<Mailpit> {
    const script = fileURLToPath(new URL('../../../.ci/mailpit', import.meta.url));
    const program = execFileSync(script, { encoding: 'utf8' }).trim();
    const [smtp, web] = [await freePort(), await freePort()];
    const proc = Proc.start('mailpit', program, [
      ...['--smtp', `127.0.0.1:${smtp}`, '--listen', `127.0.0.1:${web}`],
      ...['--database', join(tempDir('mailpit'), 'mails.db')],
      ...['--disable-version-check', '--smtp-disable-rdns'],
    ]);
    const mailpit = new Mailpit(smtp, web, proc);
    await until(
      'mailpit',
      async () => (await fetch(`http://127.0.0.1:${web}/readyz`)).ok,
      10_000,
      () => proc.text(),
    );
    return mailpit;
  }

  private async read<Answer>(path: string): Promise<Answer> {
    const answer = await fetch(`http://127.0.0.1:${this.web}/api/v1${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Answer;
  }

  /** The newest mail to that address, once there are so many. */
  async mail(to: string, count = 1): Promise<Mail> {
    const query = encodeURIComponent(`to:"${to}"`);
    const id = await until(
      `mail ${count} to ${to}`,
      async () => {
        const found = await this.read<{ messages: { ID: string }[] }>(`/search?query=${query}`);
        return found.messages.length >= count && found.messages[0]?.ID;
      },
      30_000,
    );
    return this.read<Mail>(`/message/${id}`);
  }

  /** The link in it. */
  async link(to: string, count = 1): Promise<string> {
    const { Text } = await this.mail(to, count);
    const [link] = Text.match(/https?:\/\/\S+/) ?? [];
    if (!link) throw new Error(`no link in:\n${Text}`);
    return link;
  }

  async stop(): Promise<void> {
    await this.proc.stop();
  }
}
