import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Silence } from './silence';

let asked: number;
let said: boolean[];
let bytes: number;
let silence: Silence;
const report = () =>
  new Map([['p', { type: 'candidate-pair', bytesReceived: bytes }]]) as unknown as RTCStatsReport;
beforeEach(() => {
  vi.useFakeTimers();
  asked = bytes = 0;
  said = [];
  silence = new Silence(
    () => asked++,
    () => Promise.resolve(report()),
    (silent) => said.push(silent),
  );
});
afterEach(() => {
  silence.close();
  vi.useRealTimers();
});
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const look = async (pictures = 0, roundTripMs?: number) => {
  silence.look(report(), pictures, roundTripMs);
  await wait(0);
};

// Rule: a frozen picture is said after 2 to 3 s; what is silent at a look has 700 ms to
// answer, not until the next look.
it('says it 700 ms after the first look without anything, with pictures before', async () => {
  bytes = 5_000;
  await look(30); // the network is silent from somewhere before this on
  await wait(1_000);
  await look();
  await wait(690);
  expect(said).toEqual([]);
  await wait(10);
  expect(said).toEqual([true]);
  await wait(300);
  await look();
  expect([said, asked]).toEqual([[true], 2]);
  silence.heard();
  expect(said).toEqual([true, false]);
});

// Rule: where another node may carry the session, silence is seen between two looks as well.
it('says it 700 ms after a glance without anything', async () => {
  bytes = 5_000;
  await look(30);
  await wait(500);
  silence.glance(report());
  await wait(690);
  silence.glance(report());
  expect(said).toEqual([]);
  await wait(10);
  expect([said, asked]).toEqual([[true], 2]);
});

it('says it after something was typed on a screen that stood still', async () => {
  for (let i = 0; i < 30; i++) await look();
  silence.used();
  await look();
  await wait(700);
  expect(said).toEqual([true]);
  bytes = 60; // an acknowledgement
  await look();
  expect(said).toEqual([true, false]);
});

it.each(['a message', 'bytes'])(
  'says nothing where the answer is %s, and asks once a silence',
  async (by) => {
    asked = 0;
    for (let i = 0; i < 10; i++) {
      await look(i === 0 ? 1 : 0);
      if (by === 'bytes') bytes++;
      else if (asked > 0) silence.heard();
      await wait(1_000);
    }
    expect(said).toEqual([]);
    expect(asked).toBeLessThanOrEqual(10);
  },
);

it('gives a slow link three round trips', async () => {
  silence.used();
  await look(0, 900);
  await wait(1_000);
  await look(0, 900);
  await wait(1_000);
  await look(0, 900);
  await wait(690);
  expect(said).toEqual([]);
  await wait(10);
  expect(said).toEqual([true]);
});

it('says nothing any more once it is closed', async () => {
  silence.used();
  await look();
  silence.close();
  await wait(1_000);
  expect(said).toEqual([]);
});

it('asks at the beginning, and once a minute while nothing happens', async () => {
  expect(asked).toBe(1);
  for (let i = 0; i < 120; i++) await look();
  expect(asked).toBe(3);
  expect(said).toEqual([]);
});

it('agrees with what the browser says, once', () => {
  silence.broken = true;
  silence.broken = true;
  silence.heard();
  expect(said).toEqual([true]);
  silence.broken = false;
  expect(said).toEqual([true, false]);
});
