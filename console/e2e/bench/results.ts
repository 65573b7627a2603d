/** Every figure of every round, and what is read out of them. */
import { median } from './figures.ts';
import type { PeerName } from './peers.ts';

export class Results {
  private figures = new Map<string, number[]>();
  readonly remarks: string[] = [];

  /** `say` is told each figure as it comes. */
  constructor(private say = (line: string): void => void process.stdout.write(`    ${line}\n`)) {}

  add(peer: PeerName, figure: string, value: number): void {
    const key = `${peer} ${figure}`;
    this.figures.set(key, [...(this.figures.get(key) ?? []), value]);
    const text = Number.isFinite(value) ? Math.round(value * 1000) / 1000 : 'none';
    this.say(`${figure}: ${text}`);
  }

  remark(text: string): void {
    this.remarks.push(text);
    this.say(`! ${text}`);
  }

  /** The median over the rounds; undefined where it was not measured, NaN where nothing was to be seen. */
  of(peer: PeerName, figure: string): number | undefined {
    const all = this.figures.get(`${peer} ${figure}`);
    if (!all) return undefined;
    const some = all.filter((v) => !Number.isNaN(v));
    return some.length * 2 > all.length ? median(some) : NaN;
  }

  /** The worst of all rounds. */
  worst(peer: PeerName, figure: string): number | undefined {
    const all = this.figures.get(`${peer} ${figure}`);
    return all && Math.max(...all);
  }

  json(): string {
    return JSON.stringify({ figures: Object.fromEntries(this.figures), remarks: this.remarks }, null, 1);
  }
}
