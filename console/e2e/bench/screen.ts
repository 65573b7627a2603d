/** What is on the computer's screen: the program bench/target on a display of its own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from '../harness/binaries.ts';
import type { Display } from '../harness/display.ts';
import { tempDir } from '../harness/programs.ts';
import { Proc } from '../harness/proc.ts';
import { compared } from './probe.ts';

export type Rect = { x: number; y: number; w: number; h: number };

type Answer = {
  nr: number;
  error?: string;
  at?: number;
  rect?: Rect;
  kind?: string;
  presses: number;
  frames: number;
  late: number;
};

export type Change = { kind: string; rect: Rect; /** base64 */ bgrx: string };

export class Screen {
  private nr = 0;
  private file = join(tempDir('screen'), 'pixels');

  private constructor(
    private proc: Proc,
    readonly display: Display,
  ) {}

  static async start(display: Display): Promise<Screen> {
    const proc = Proc.start('target', binary('peers-target'), [], { env: { DISPLAY: display.name } });
    await proc.line(/^\{"nr":0/);
    return new Screen(proc, display);
  }

  async mode(mode: 'press' | 'type' | 'still' | 'wipe'): Promise<void> {
    await this.ask(mode);
  }

  /** 30 pictures a second from picture `first` on, `count` of them; 0: without end. */
  async play(kind: 'scroll' | 'video', first: number, count = 0): Promise<void> {
    await this.ask(`${kind} ${first} ${count}`);
  }

  /** Another page over the whole screen; gives when it was drawn. */
  async window(n: number): Promise<number> {
    return (await this.ask(`window ${n}`)).at ?? 0;
  }

  async stats(): Promise<{ presses: number; frames: number; late: number }> {
    return this.ask('stats');
  }

  /** The compared part of picture n as it is drawn, RGB, base64. */
  async truth(kind: 'scroll' | 'video' | 'window', n: number): Promise<string> {
    await this.ask(`truth ${kind} ${n} ${this.file}`);
    const rgbx = readFileSync(this.file).subarray(compared.top * compared.columns * 4);
    const rgb = Buffer.alloc(compared.rows * compared.columns * 3);
    for (let i = 0, j = 0; j < rgb.length; i += 4, j += 3) rgbx.copy(rgb, j, i, i + 3);
    return rgb.toString('base64');
  }

  /** A random change, not yet seen. */
  async change(seed: number): Promise<Change> {
    const { kind = '', rect = { x: 0, y: 0, w: 0, h: 0 } } = await this.ask(`change ${seed} ${this.file}`);
    return { kind, rect, bgrx: readFileSync(this.file).toString('base64') };
  }

  /** Makes the change seen; gives when. */
  async show(): Promise<number> {
    return (await this.ask('show')).at ?? 0;
  }

  async stop(): Promise<void> {
    await this.proc.stop(3_000);
  }

  private async ask(command: string): Promise<Answer> {
    const nr = ++this.nr;
    const from = this.proc.lines.length;
    this.proc.write(`${nr} ${command}`);
    const [line] = await this.proc.line(new RegExp(`^\\{"nr":${nr},.*`), 30_000, from);
    const answer = JSON.parse(line) as Answer;
    if (answer.error) throw new Error(`target: ${command}: ${answer.error}`);
    return answer;
  }
}
