import { beforeEach, expect, it } from 'vitest';
import { Silence } from './silence';

let asked: number;
let said: boolean[];
let bytes: number;
let silence: Silence;
beforeEach(() => {
  asked = bytes = 0;
  said = [];
  silence = new Silence(
    () => asked++,
    (silent) => said.push(silent),
  );
});
const look = (pictures = 0, roundTripMs?: number) =>
  silence.look(
    new Map([['p', { type: 'candidate-pair', bytesReceived: bytes }]]) as unknown as RTCStatsReport,
    pictures,
    roundTripMs,
  );

// Rule: a frozen picture is said after 2 to 3 s.
it('says it at the second look without anything, with pictures before', () => {
  bytes = 5_000;
  look(30); // the network is silent from somewhere before this on
  look();
  expect(said).toEqual([]);
  look();
  expect(said).toEqual([true]);
  look();
  silence.heard();
  expect(said).toEqual([true, false]);
});

it('says it after something was typed on a screen that stood still', () => {
  for (let i = 0; i < 30; i++) look();
  silence.used();
  look();
  look();
  expect(said).toEqual([true]);
  bytes = 60; // an acknowledgement
  look();
  expect(said).toEqual([true, false]);
});

it('says nothing where the answer comes, and asks once a silence', () => {
  asked = 0;
  for (let i = 0; i < 10; i++) {
    look(i === 0 ? 1 : 0);
    if (asked > 0) silence.heard();
  }
  expect(said).toEqual([]);
  expect(asked).toBeLessThanOrEqual(10);
});

it('gives a slow link two round trips', () => {
  silence.used();
  look(0, 900);
  look(0, 900);
  expect(said).toEqual([]);
  look(0, 900);
  expect(said).toEqual([true]);
});

it('asks at the beginning, and once a minute while nothing happens', () => {
  expect(asked).toBe(1);
  for (let i = 0; i < 120; i++) look();
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
