/** Child processes that a test starts, watches and ends by pid. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

export type Line = { stream: 'out' | 'err'; text: string };

export class Proc {
  readonly lines: Line[] = [];
  readonly pid: number;
  code: number | null = null;
  signal: NodeJS.Signals | null = null;
  ended = false;
  /** What it gets when the tests end without having stopped it. */
  lastSignal: NodeJS.Signals = 'SIGKILL';
  private watchers = new Set<() => void>();

  constructor(
    readonly name: string,
    private child: ChildProcess,
  ) {
    this.pid = child.pid ?? 0;
    if (!this.pid) throw new Error(`${name} did not start`);
    for (const stream of ['out', 'err'] as const) {
      let rest = '';
      const source = stream === 'out' ? child.stdout : child.stderr;
      source?.setEncoding('utf8').on('data', (chunk: string) => {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        for (const text of parts) this.lines.push({ stream, text });
        this.wake();
      });
    }
    child.on('exit', (code, signal) => {
      this.code = code;
      this.signal = signal;
      this.ended = true;
      this.wake();
    });
    live.add(this);
  }

  static start(
    name: string,
    command: string,
    args: string[],
    options: { env?: Record<string, string>; cwd?: string } = {},
  ): Proc {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin?.on('error', () => undefined);
    child.on('error', () => undefined);
    return new Proc(name, child);
  }

  write(line: string): void {
    this.child.stdin?.write(line + '\n');
  }

  text(): string {
    return this.lines.map((l) => `${l.stream}: ${l.text}`).join('\n');
  }

  /** Waits for a line, from line number `from` on; gives the match. */
  async line(pattern: RegExp, ms = 20_000, from = 0): Promise<RegExpMatchArray> {
    const find = (): RegExpMatchArray | null => {
      for (const l of this.lines.slice(from)) {
        const m = l.text.match(pattern);
        if (m) return m;
      }
      return null;
    };
    return until(
      `${this.name} to print ${pattern}`,
      () => {
        const m = find();
        if (!m && this.ended)
          throw new Error(`${this.name} ended (${this.code ?? this.signal}):\n${this.text()}`);
        return m;
      },
      ms,
      () => this.text(),
    );
  }

  private wake(): void {
    for (const w of this.watchers) w();
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (!this.ended) this.child.kill(signal);
  }

  /** Asks it to end, waits, and kills it when it does not. */
  async stop(ms = 15_000): Promise<void> {
    if (!this.ended) this.child.kill('SIGTERM');
    await this.exit(ms).catch(() => this.child.kill('SIGKILL'));
    await this.exit(5_000);
    live.delete(this);
  }

  async exit(ms = 15_000): Promise<void> {
    if (this.ended) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.name} does not end:\n${this.text()}`)), ms);
      const watch = (): void => {
        if (!this.ended) return;
        clearTimeout(timer);
        this.watchers.delete(watch);
        resolve();
      };
      this.watchers.add(watch);
    });
  }

  /** User and system CPU seconds of this process and its living children. */
  cpuSeconds(): number {
    return cpu(this.pid);
  }
}

const live = new Set<Proc>();
process.on('exit', () => {
  for (const p of live) p.kill(p.lastSignal);
});

function cpu(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const f = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(f[11]) + Number(f[12]);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return (
      ticks / 100 +
      children
        .split(' ')
        .filter(Boolean)
        .reduce((sum, c) => sum + cpu(Number(c)), 0)
    );
  } catch {
    return 0;
  }
}

/** Polls until `probe` gives something; never sleeps for its own sake. */
export async function until<T>(
  what: string,
  probe: () => T | null | undefined | false | Promise<T | null | undefined | false>,
  ms = 10_000,
  detail: () => string = () => '',
): Promise<T> {
  const end = Date.now() + ms;
  let last: unknown = null;
  for (;;) {
    try {
      const v = await probe();
      if (v) return v;
      last = null;
    } catch (e) {
      last = e;
    }
    if (Date.now() > end) {
      throw new Error(`waited ${ms} ms for ${what}${last ? `: ${String(last)}` : ''}\n${detail()}`);
    }
    await new Promise((r) => setTimeout(r, 25));
  }
}
