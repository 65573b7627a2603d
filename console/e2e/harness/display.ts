/** A real X display (Xvfb) whose frame buffer the test can read by itself. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Proc } from './proc.ts';

export type Pixels = { width: number; height: number; /** RGB, 3 bytes a pixel */ data: Uint8Array };

/** A display number of its own for a test that needs the same one twice; others take the lowest. */
export function freeNumber(): number {
  for (;;) {
    const n = 1_000 + Math.floor(Math.random() * 8_000);
    if (!existsSync(`/tmp/.X11-unix/X${n}`) && !existsSync(`/tmp/.X${n}-lock`)) return n;
  }
}

export class Display {
  private constructor(
    readonly name: string,
    private server: Proc,
    private dir: string,
  ) {}

  /** Starts an X server; `number` only where a test needs the same one twice. */
  static async start(width = 1280, height = 720, number?: number): Promise<Display> {
    const dir = mkdtempSync(join(tmpdir(), 'oriel-x-'));
    const args = ['-screen', '0', `${width}x${height}x24`, '-fbdir', dir, '-nolisten', 'tcp', '-noreset'];
    if (number !== undefined) args.unshift(`:${number}`);
    const child = spawn('Xvfb', ['-displayfd', '1', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const server = new Proc('Xvfb', child);
    const [, n] = await server.line(/^(\d+)$/);
    return new Display(`:${n}`, server, dir);
  }

  get number(): number {
    return Number(this.name.slice(1));
  }

  /** What is on the screen now, read off the X server's own memory. */
  pixels(): Pixels {
    return parseXwd(readFileSync(join(this.dir, 'Xvfb_screen0')));
  }

  run(command: string, ...args: string[]): string {
    return execFileSync(command, args, { env: { ...process.env, DISPLAY: this.name }, encoding: 'utf8' });
  }

  layout(name: string): void {
    this.run('setxkbmap', name);
  }

  async stop(): Promise<void> {
    await this.server.stop(5_000);
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** As when a driver or the X server crashes. */
  async crash(): Promise<void> {
    this.server.kill('SIGKILL');
    await this.server.exit();
    rmSync(this.dir, { recursive: true, force: true });
    rmSync(`/tmp/.X11-unix/X${this.number}`, { force: true });
    rmSync(`/tmp/.X${this.number}-lock`, { force: true });
  }
}

/** XWD version 7, 32 bits a pixel, as Xvfb writes it (X11/XWDFile.h). */
function parseXwd(b: Buffer): Pixels {
  const u32 = (i: number): number => b.readUInt32BE(i * 4);
  const [header, width, height] = [u32(0), u32(4), u32(5)];
  const [little, bits, stride, colours] = [u32(7) === 0, u32(11), u32(12), u32(19)];
  if (bits !== 32 || !little) throw new Error(`an XWD of ${bits} bits a pixel`);
  const start = header + colours * 12;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0, i = start + y * stride; x < width; x++, i += 4, o += 3) {
      data[o] = b[i + 2] ?? 0;
      data[o + 1] = b[i + 1] ?? 0;
      data[o + 2] = b[i] ?? 0;
    }
  }
  return { width, height, data };
}
