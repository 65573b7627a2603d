/** One product, started afresh in one place, and what is measured with it there. */
import type { Browser } from 'playwright-core';
import { newContext, startBrowser } from '../harness/browser.ts';
import type { Display } from '../harness/display.ts';
import { until } from '../harness/proc.ts';
import { Checker } from './correct.ts';
import { median, motion, p95, psnr, wellFrom } from './figures.ts';
import { Place, type Network } from './link.ts';
import { watchLoad } from './load.ts';
import { Oriel, Reference, type Peer, type PeerName } from './peers.ts';
import {
  connect,
  idle,
  key,
  moving,
  now,
  pause,
  typing,
  windows,
  type Bench,
  type Lengths,
} from './phases.ts';
import { installProbe, probe } from './probe.ts';
import type { Results } from './results.ts';
import type { Screen } from './screen.ts';

export type Around = {
  name: PeerName;
  network: Network | null;
  display: Display;
  screen: Screen;
  results: Results;
  lengths: Lengths;
  prefix: string;
};

/** Starts product and browser, calls `use` with both, and ends everything that was started. */
export async function session(
  o: Around,
  use: (b: Bench, place: Place, browser: Browser) => Promise<void>,
): Promise<void> {
  const place = o.network ? await Place.linked(o.network) : Place.loopback();
  const start = { place, display: o.display.name };
  const peer: Peer = o.name === 'Oriel' ? new Oriel(start) : new Reference(start);
  let browser: Browser | null = null;
  try {
    await o.screen.mode('still');
    browser = await startBrowser([], place.chromium);
    const { context } = await newContext(browser, { viewport: { width: 1980, height: 1180 } });
    await installProbe(context, peer.picture);
    const first = await peer.open(context);
    await pause(1_500);
    const { screen, results, lengths, prefix } = o;
    await use({ peer, screen, results, lengths, prefix, from: first, view: first }, place, browser);
  } catch (e) {
    o.results.remark(`${o.name}, ${o.prefix || 'loopback'}: ${String(e).split('\n').slice(0, 2).join(' ')}`);
    if (process.env['LOGS']) process.stdout.write(peer.log() + '\n');
  } finally {
    await browser?.close();
    await peer.stop();
    await place.stop();
  }
}

/** On one machine, without a network. */
export async function loopback(b: Bench, want: (phase: string) => boolean): Promise<void> {
  for (let i = 0; want('connect') && i < b.lengths.connects; i++) {
    if (b.peer.name === 'Oriel') await connectInTab(b);
    else await connectInNewTab(b);
    if (i === 0) continue; // the last one stays
    await connect(b, 'first');
    await again(b);
  }
  await stay(b);
  if (want('key')) await key(b);
  if (want('typing')) await typing(b);
  if (want('idle')) await idle(b);
  if (want('scroll')) await moving(b, 'scroll', true);
  if (want('video')) await moving(b, 'video');
  if (b.peer.name !== 'Oriel') return;
  if (want('second')) await second(b);
  if (want('correct')) await correct(b);
}

async function again(b: Bench): Promise<void> {
  await b.peer.disconnect(b.from, b.view);
  await pause(1_000);
}

/** Connects for what is measured next: a click that led to no picture is noted, and followed by another. */
async function stay(b: Bench): Promise<number> {
  try {
    return await connect(b, 'first');
  } catch (e) {
    b.results.remark(`${b.peer.name}, ${b.prefix}click: no picture came (${String(e).split('\n')[0]})`);
    await again(b);
    return connect(b, 'first');
  }
}

/** Without the tab that a click opens, which has a page to load. */
async function connectInTab(b: Bench): Promise<void> {
  await connect(b, 'first in the same tab', 'same');
  await again(b);
}

/** In a tab that a click opens, which the reference does not do by itself. */
async function connectInNewTab(b: Bench): Promise<void> {
  await connect(b, 'first in a new tab', 'new');
  await again(b);
}

/** What a second viewer costs the agent, while a page scrolls; the sum of several looks, in turn. */
async function second(b: Bench): Promise<void> {
  const id = new URL(b.view.url()).pathname;
  await b.screen.play('scroll', 1);
  await pause(1_500);
  const cpu = async (): Promise<number> => {
    const load = watchLoad(b.peer.agentPid());
    await pause(Math.min(4_000, b.lengths.motion * 500));
    return load().process;
  };
  let [one, two] = [0, 0];
  for (let i = 0; i < 5; i++) {
    one += await cpu();
    const other = await b.from.context().newPage();
    await other.goto(new URL(id, b.view.url()).href);
    const p = await probe(other);
    await until('a picture in the second viewer', () => p.evaluate((q) => q.last), 20_000);
    await pause(1_500);
    two += await cpu();
    await other.close();
    await pause(1_500);
  }
  b.results.add(b.peer.name, 'second cpu', 100 * (two / one - 1));
  await b.view.bringToFront();
}

async function correct(b: Bench): Promise<void> {
  const within = 3_000;
  const took: number[] = [];
  const never: string[] = [];
  const checker = new Checker(b.view, b.screen);
  const fresh = async (): Promise<void> => {
    await b.screen.mode('wipe');
    await pause(500);
    const { worst, colours } = await checker.begin(10_000);
    if (worst > 16) throw new Error(`one colour is off by ${worst.toFixed(0)} in luma (${colours})`);
  };
  await fresh();
  for (let seed = 1; seed <= b.lengths.changes; seed++) {
    const { kind, took: ms, settled } = await checker.change(seed, within);
    if (settled.worst <= 16) took.push(ms);
    else {
      never.push(`${seed} (${kind}) by ${settled.worst.toFixed(0)} at ${settled.x},${settled.y}`);
      await fresh();
    }
  }
  if (never.length > 0) b.results.remark(`changes that never became right: ${never.slice(0, 10).join('; ')}`);
  b.results.add(b.peer.name, 'right', (100 * took.filter((ms) => ms <= 200).length) / b.lengths.changes);
  b.results.add(b.peer.name, 'right median', median(took));
  b.results.add(b.peer.name, 'right p95', p95(took));
  b.results.add(b.peer.name, 'never right', never.length);
}

/** A bad network with a steady rate. */
export async function linked(b: Bench, want: (phase: string) => boolean): Promise<void> {
  await b.screen.mode('still');
  const drawn = await b.screen.truth('scroll', 0);
  if (b.peer.name === 'Oriel') await connectInTab(b);
  if (b.peer.name === 'reference') await watchFirst(b, drawn);
  const clicked = await stay(b);
  if (b.peer.name === 'Oriel') await watchFirst(b, drawn);
  await firstSharp(b, clicked);
  if (want('key')) await key(b);
  if (want('windows') && b.prefix === '1mbit ') await windows(b, 3);
  if (want('scroll')) await moving(b, 'scroll', true);
  if (b.peer.name !== 'Oriel') return;
  const { peers } = await (await probe(b.view)).evaluate((p) => p.take());
  const state = await b.view.getByTestId('view').getAttribute('data-state');
  b.results.add(b.peer.name, `${b.prefix}breaks`, Math.max(0, peers - 1) + (state === 'live' ? 0 : 1));
}

async function watchFirst(b: Bench, drawn: string): Promise<void> {
  await (await probe(b.view)).evaluate((p, rgb) => p.watch(0, rgb), drawn);
}

async function firstSharp(b: Bench, clicked: number): Promise<void> {
  const p = await probe(b.view);
  const good = await until(
    'a sharp picture',
    () => p.evaluate((q) => q.trace.find((t) => t.psnr >= 50)?.at),
    12_000,
  ).catch(() => NaN);
  b.results.add(b.peer.name, `${b.prefix}first sharp`, good - clicked);
  await p.evaluate((q) => q.watch(0, ''));
}

/** The rate falls in mid-scroll, and rises again. */
export async function drop(b: Bench, place: Place, low: number, high: number): Promise<void> {
  await stay(b);
  await pause(2_000);
  const begun = now();
  await b.screen.play('scroll', 1);
  const p = await probe(b.view);
  const quality: { at: number; value: number }[] = [];
  // Looks at one picture a second for a time; gives how like the drawn ones they were.
  const look = async (seconds: number): Promise<void> => {
    const end = performance.now() + seconds * 1_000;
    while (performance.now() < end) {
      const next = performance.now() + 1_000;
      const shown = await Promise.race([p.evaluate((q, since) => q.grab(since), begun), pause(3_000)]);
      const at = now();
      if (shown) quality.push({ at, value: psnr(shown.rgb, await b.screen.truth('scroll', shown.counter)) });
      await pause(Math.max(0, next - performance.now()));
    }
  };
  await look(6);
  const before = median(quality.slice(-4).map((q) => q.value));
  await p.evaluate((q) => q.take());
  await place.setRate('1mbit');
  const fell = now();
  await pause(low * 1_000); // without looking closely, which costs time
  const { seen } = await p.evaluate((q) => q.take());
  await place.setRate('20mbit');
  const rose = now();
  await look(high);
  // A second without a picture is no better than an old one.
  const whole = seen.filter((s) => s.whole > 0);
  const ages = whole.map((s, i) => {
    const gap = s.whole - (whole[i - 1]?.whole ?? fell);
    return { at: s.whole, value: gap > 1_000 ? gap : s.whole - s.drawn };
  });
  const fine = wellFrom(ages, (age) => age < 400);
  b.results.add(b.peer.name, 'drop age', Math.max(0, (fine - fell) / 1000));
  b.results.add(b.peer.name, 'drop whole', motion(seen, fell, rose).whole);
  const good = wellFrom(
    quality.filter((q) => q.at > rose),
    (db) => db >= Math.min(before - 1, 45),
  );
  b.results.add(b.peer.name, 'rise quality', (good - rose) / 1000);
  b.results.add(b.peer.name, 'drop psnr before', before);
}
