/** A bad network between viewer and computer: the program bench/link, and what is reached where. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from '../harness/binaries.ts';
import { chromiumPath } from '../harness/browser.ts';
import { freePort, tempDir } from '../harness/programs.ts';
import { Proc } from '../harness/proc.ts';

export type Network = { rate: string; delayMs: number; lossPercent: number };

/** Why there can be no bad networks here, or ''. */
export function noLinks(): string {
  if (process.platform !== 'linux') return 'bad networks are made of network namespaces, which Linux has';
  if (process.getuid?.() !== 0) return 'bad networks need root (network namespaces)';
  if (!existsSync('/dev/net/tun')) return 'bad networks need /dev/net/tun';
  return '';
}

/** Where viewer and computer are to each other. */
export class Place {
  private constructor(
    private proc: Proc | null,
    /** what starts a program on the computer's side */
    readonly within: string[],
    /** the browser on the viewer's side */
    readonly chromium: string,
  ) {}

  /** Viewer and computer on one machine, without a network between them. */
  static loopback(): Place {
    return new Place(null, [], chromiumPath);
  }

  static async linked(n: Network): Promise<Place> {
    const proc = Proc.start('link', binary('peers-link'), [
      ...['-rate', n.rate, '-delay', `${n.delayMs}ms`, '-loss', `${n.lossPercent}`],
    ]);
    proc.lastSignal = 'SIGTERM'; // it has namespaces to remove
    const [line] = await proc.line(/^\{"address".*/);
    const names = JSON.parse(line) as { viewer: string; computer: string };
    const chromium = join(tempDir('viewer'), 'chromium');
    writeFileSync(chromium, `#!/bin/sh\nexec ip netns exec ${names.viewer} ${chromiumPath} "$@"\n`, {
      mode: 0o755,
    });
    return new Place(proc, ['ip', 'netns', 'exec', names.computer], chromium);
  }

  get linked(): boolean {
    return this.proc !== null;
  }

  /** The address that a server on the computer's side listens on. */
  get listen(): string {
    return this.linked ? '0.0.0.0' : '127.0.0.1';
  }

  /** A port of 127.0.0.1 on the computer's side that the viewer reaches under the same address. */
  async port(): Promise<number> {
    const port = await freePort();
    await this.command(`forward ${port}`);
    return port;
  }

  async setRate(rate: string): Promise<void> {
    await this.command(`rate ${rate}`);
  }

  async stop(): Promise<void> {
    await this.proc?.stop(5_000);
  }

  private async command(text: string): Promise<void> {
    if (!this.proc) return;
    const from = this.proc.lines.length;
    this.proc.write(text);
    const [answer] = await this.proc.line(/^\{.*"down".*/, 5_000, from);
    const { error } = JSON.parse(answer) as { error?: string };
    if (error) throw new Error(`link: ${error}`);
  }
}
