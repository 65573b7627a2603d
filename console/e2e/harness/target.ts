/** The program on the shared display (console/e2e/target) and where it draws what. */
import { binary } from './binaries.ts';
import type { Display } from './display.ts';
import { Proc, until } from './proc.ts';
import type { Rgb } from './pixels.ts';

export type TargetEvent = {
  kind: 'ready' | 'key' | 'button';
  code: number;
  down: boolean;
  x: number;
  y: number;
  /** Unix milliseconds */
  at: number;
};

export const green: Rgb = [0x20, 0xe0, 0x20];
export const blue: Rgb = [0x20, 0x40, 0xff];
export const idle: Rgb = [0x30, 0x40, 0x50];
export const red: Rgb = [0xff, 0x20, 0x20];
export const magenta: Rgb = [0xff, 0x20, 0xff];
export const background: Rgb = [0x20, 0x30, 0x40];
export const orange: Rgb = [0xff, 0xa0, 0x00];

/** The bar that the wheel draws: where it begins, on its middle line, and how much longer a notch makes it. */
export const bar = { x: 40, y: 492, step: 16 };

/** The middle of the cell of an X key code. */
export function cell(code: number): { x: number; y: number } {
  return { x: 40 + (code % 16) * 24 + 11, y: 40 + Math.floor(code / 16) * 24 + 11 };
}

export class Target {
  private constructor(private proc: Proc) {}

  static async start(display: Display): Promise<Target> {
    const proc = Proc.start('target', binary('target'), [], { env: { DISPLAY: display.name } });
    await proc.line(/"ready"/);
    return new Target(proc);
  }

  events(): TargetEvent[] {
    return this.proc.lines
      .filter((l) => l.stream === 'out' && l.text.startsWith('{'))
      .map((l) => JSON.parse(l.text) as TargetEvent);
  }

  async saw(what: string, match: (e: TargetEvent) => boolean, ms = 5_000): Promise<TargetEvent> {
    return until(
      what,
      () => this.events().find(match),
      ms,
      () => JSON.stringify(this.events().slice(-20)),
    );
  }

  clear(): void {
    this.proc.write('clear');
  }

  box(x: number, y: number, w: number, h: number, colour: number): void {
    this.proc.write(`box ${x} ${y} ${w} ${h} ${colour.toString(16).padStart(6, '0')}`);
  }

  async stop(): Promise<void> {
    await this.proc.stop(3_000);
  }
}
