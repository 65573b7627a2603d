/** What is done at the viewer and measured there, one function for each thing that a person does. */
import type { Page } from 'playwright-core';
import { until } from '../harness/proc.ts';
import { latencies, median, most, motion, p95, psnr } from './figures.ts';
import { watchLoad } from './load.ts';
import type { Peer, Tab } from './peers.ts';
import { probe, type Taken } from './probe.ts';
import type { Results } from './results.ts';
import type { Screen } from './screen.ts';

export type Lengths = {
  connects: number;
  presses: number;
  typing: number;
  idle: number;
  motion: number;
  changes: number;
};

export type Bench = {
  peer: Peer;
  screen: Screen;
  results: Results;
  lengths: Lengths;
  /** the page that clicks, and the one that shows the screen */
  from: Page;
  view: Page;
  /** goes before the names of the figures */
  prefix: string;
};

/** Unix milliseconds, as the page has them. */
export const now = (): number => performance.timeOrigin + performance.now();

export const pause = (ms: number): Promise<void> => new Promise((next) => setTimeout(next, ms));

const take = async (page: Page): Promise<Taken> => (await probe(page)).evaluate((p) => p.take());

function add(b: Bench, figure: string, value: number): void {
  b.results.add(b.peer.name, b.prefix + figure, value);
}

/** Begins anew on the screen, waits until the viewer shows it, and forgets what was seen before. */
async function begin(b: Bench, mode: 'press' | 'type' | 'still'): Promise<void> {
  const at = Math.floor(now());
  await b.screen.mode(mode);
  const p = await probe(b.view);
  await until('the new picture', () => p.evaluate((q, t) => (q.last?.drawn ?? 0) >= t, at), 20_000);
  await pause(1_200); // what comes after a change, such as sharpening
  await take(b.view);
}

/**
 * From the click to the first picture that is right at both ends of the
 * screen; gives when the click was.
 */
export async function connect(
  b: Bench,
  figure: string,
  tab: Tab = 'usual',
  patience = 30_000,
): Promise<number> {
  await take(b.from);
  b.view = await b.peer.connect(b.from, tab);
  const clicks = b.from === b.view ? null : (await take(b.from)).inputs;
  try {
    const taken = await until(
      'a picture',
      async () => {
        const p = await probe(b.view);
        const t = await p.evaluate((q) => (q.last ? q.take() : null));
        return t?.first ? t : null;
      },
      patience,
    );
    const click = (clicks ?? taken.inputs).filter((e) => e.type === 'click').pop()?.at ?? NaN;
    add(b, figure, taken.first - click);
    return click;
  } catch (e) {
    add(b, figure, NaN);
    throw e;
  }
}

/** Presses one key now and then, at moments that have nothing to do with the display's. */
export async function key(b: Bench): Promise<void> {
  await begin(b, 'press');
  for (let i = 0; i < b.lengths.presses; i++) {
    await b.view.keyboard.down('a');
    await b.view.keyboard.up('a');
    await pause(300 + Math.random() * 200);
  }
  await pause(1_000);
  addLatencies(b, 'key', await take(b.view), (await b.screen.stats()).presses);
}

function addLatencies(b: Bench, figure: string, taken: Taken, arrived: number): void {
  const { shown, unseen } = latencies(taken);
  add(b, `${figure} median`, median(shown));
  add(b, `${figure} p95`, p95(shown));
  add(b, `${figure} worst`, unseen > 0 ? Infinity : most(shown));
  const pressed = taken.inputs.filter((e) => e.type === 'keydown').length;
  if (arrived < pressed)
    b.results.remark(`${b.peer.name}, ${b.prefix}${figure}: ${pressed - arrived} keys did not arrive`);
  if (unseen > 0) b.results.remark(`${b.peer.name}, ${b.prefix}${figure}: ${unseen} keys were never seen`);
}

/** Five keys a second. */
export async function typing(b: Bench): Promise<void> {
  await begin(b, 'type');
  await measured(b, 'typing', async () => {
    const begun = performance.now();
    for (let i = 0; i < b.lengths.typing * 5; i++) {
      await pause(Math.max(0, begun + i * 200 - performance.now()));
      const letter = 'abcdefghijklmnopqrstuvwxyz'[i % 26] ?? 'a';
      await b.view.keyboard.down(letter);
      await b.view.keyboard.up(letter);
    }
    await pause(Math.max(0, begun + b.lengths.typing * 1_000 - performance.now()));
  });
  addLatencies(b, 'typing', await take(b.view), (await b.screen.stats()).presses);
}

/** A time in which nothing happens. */
export async function idle(b: Bench): Promise<void> {
  await begin(b, 'still');
  await pause(4_000); // until the last refinement is over
  await measured(b, 'idle', () => pause(b.lengths.idle * 1_000));
}

// Bytes a second, pictures decoded, the agent's CPU and everybody else's while f runs;
// gives all bytes to the viewer.
async function measured(b: Bench, figure: string, f: () => Promise<unknown>): Promise<number> {
  const p = await probe(b.view);
  const before = await p.evaluate((q) => q.wire());
  const load = watchLoad(b.peer.agentPid());
  await f();
  const { process, others, seconds } = load();
  const after = await p.evaluate((q) => q.wire());
  add(b, `${figure} bytes`, (after.down - before.down) / seconds);
  add(b, `${figure} all bytes`, (after.down + after.up - before.down - before.up) / seconds);
  add(b, `${figure} decoded`, after.decoded - before.decoded);
  add(b, `${figure} cpu`, 100 * process);
  add(b, `${figure} others`, 100 * others);
  return after.down - before.down;
}

/**
 * A page that scrolls, or a video: pictures that came whole, their age, what
 * they cost, and how like the drawn ones they were. With `stops`, how long the
 * last picture took to become as good as lossless.
 */
export async function moving(b: Bench, kind: 'scroll' | 'video', stops = false): Promise<void> {
  const { motion: seconds } = b.lengths;
  const warm = 45; // pictures before it counts: a picture's size and the rate are found in these
  const counted = Math.round(seconds * 30);
  const last = warm + counted + 75; // and some for a close look

  if (stops) {
    const drawn = await b.screen.truth('scroll', last);
    await (await probe(b.view)).evaluate((p, [n, rgb]) => p.watch(n, rgb), [last, drawn] as const);
  }
  await b.screen.play(kind, 1, stops ? last : 0);
  await until('the motion to begin', async () => (await b.screen.stats()).frames >= warm, 30_000);
  await take(b.view);
  const { late } = await b.screen.stats();
  const begun = now();
  const sent = await measured(b, kind, () => pause(seconds * 1_000));
  const m = motion((await take(b.view)).seen, begun, now());
  const drawnLate = (await b.screen.stats()).late - late;
  if (drawnLate > counted / 10)
    b.results.remark(
      `${b.prefix}${kind}: on a busy machine ${drawnLate} of ${counted} pictures were drawn late`,
    );
  add(b, `${kind} whole`, m.whole);
  add(b, `${kind} bytes each`, sent / (m.whole * seconds));
  add(b, `${kind} age`, m.age);
  add(b, `${kind} age p95`, m.age95);
  add(b, `${kind} age slope`, m.slope);
  add(b, `${kind} behind`, m.behind);
  add(b, `${kind} psnr`, await fidelity(b, kind, begun));
  if (stops) await sharpAfter(b, `${kind} sharp`, last);
}

/** PSNR of three pictures in mid-motion; NaN when none is whole within a while. */
async function fidelity(b: Bench, kind: 'scroll' | 'video', since: number): Promise<number> {
  const p = await probe(b.view);
  const grabs: { counter: number; rgb: string }[] = [];
  const end = now() + 2_000;
  while (grabs.length < 3 && now() < end) {
    const shown = await Promise.race([p.evaluate((q, at) => q.grab(at), since), pause(end - now())]);
    if (shown) grabs.push(shown);
    await pause(200);
  }
  const values: number[] = [];
  for (const { counter, rgb } of grabs) values.push(psnr(rgb, await b.screen.truth(kind, counter)));
  return median(values);
}

/** From when picture n was drawn until it is shown at 50 dB. */
async function sharpAfter(b: Bench, figure: string, n: number): Promise<void> {
  const p = await probe(b.view);
  const good = await until(
    'a sharp picture',
    () =>
      p.evaluate((q, counter) => {
        const found = q.trace.find((t) => t.psnr >= 50);
        return found && q.last?.counter === counter && { at: found.at, drawn: q.last.drawn };
      }, n),
    10_000,
  ).catch(() => null);
  const trace = await p.evaluate((q) => q.trace);
  add(b, figure, good ? good.at - good.drawn : NaN);
  add(b, `${figure} psnr`, trace.at(-1)?.psnr ?? NaN);
  await p.evaluate((q) => q.watch(0, ''));
}

/** dB from which text like the target's can be read: looked at, blurred and in coarse blocks. */
export const readable = 22;

/** Another window over the whole screen: when it can be read, and when it is as good as lossless. */
export async function windows(b: Bench, times: number): Promise<void> {
  await begin(b, 'still');
  const p = await probe(b.view);
  const [read, sharp]: [number[], number[]] = [[], []];
  for (let n = 1; n <= times; n++) {
    const drawn = await b.screen.truth('window', n);
    await p.evaluate((q, [counter, rgb]) => q.watch(counter, rgb), [n, drawn] as const);
    const at = await b.screen.window(n);
    await until('a sharp picture', () => p.evaluate((q) => q.trace.some((t) => t.psnr >= 50)), 8_000).catch(
      () => undefined,
    );
    const trace = await p.evaluate((q) => q.trace);
    const when = (db: number): number => (trace.find((t) => t.psnr >= db)?.at ?? NaN) - at;
    read.push(when(readable));
    sharp.push(when(50));
    await pause(500);
  }
  await p.evaluate((q) => q.watch(0, ''));
  const middle = (values: number[]): number => (values.some(Number.isNaN) ? NaN : median(values));
  add(b, 'window readable', middle(read));
  add(b, 'window sharp', middle(sharp));
}
