import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Again } from './again';
import { decode } from '../frames';
import { AgainSchema, ToDesktopSchema } from '../wire/oriel/v1/channel_pb';

type Body = Exclude<MessageInitShape<typeof ToDesktopSchema>['body'], undefined>;

let sent: Uint8Array[];
let channel: { readyState: string; bufferedAmount: number; send(bytes: Uint8Array): void };
let again: Again;
let lost: number;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  channel = { readyState: 'open', bufferedAmount: 0, send: (bytes) => sent.push(bytes) };
  lost = NaN;
  again = new Again(channel as unknown as RTCDataChannel, () => Promise.resolve(lost));
});
afterEach(() => vi.useRealTimers());

const say = (body: Body) => again.note(create(ToDesktopSchema, { body }));

const key = (usage: number): Body => ({ case: 'key', value: { usage, down: true } });
const numbers = () =>
  sent.map((bytes) => {
    const { first, inputs } = decode(AgainSchema, bytes);
    return inputs.map((_, i) => first + i);
  });

it('says each input twice more, by number', () => {
  say(key(4));
  say({ case: 'wheel', value: { dx: 0, dy: 120, x: 1, y: 1 } });
  vi.advanceTimersByTime(30);
  expect(numbers()).toEqual([[1, 2]]);
  say(key(5));
  vi.advanceTimersByTime(1_000);
  expect(numbers()).toEqual([[1, 2], [1, 2, 3], [3]]);
});

it('says it once more where nothing got lost, and twice for a minute after a loss', async () => {
  const said = async () => {
    sent = [];
    say(key(4));
    await vi.advanceTimersByTimeAsync(6_000);
    return numbers().length;
  };
  expect(await said()).toBe(2); // nothing came yet
  lost = 0;
  await said();
  expect(await said()).toBe(1);
  lost = 3;
  await said();
  expect(await said()).toBe(2);
  await vi.advanceTimersByTimeAsync(50_000);
  expect(await said()).toBe(1);
  lost = NaN; // and the other way around: what is not known changes nothing
  await said();
  expect(await said()).toBe(1);
});

it('says only what nothing follows where nothing gets lost, and soon when something did', async () => {
  lost = 0;
  say(key(4));
  await vi.advanceTimersByTimeAsync(6_000);
  sent = [];
  for (let i = 0; i < 50; i++) {
    await vi.advanceTimersByTimeAsync(200);
    say(key(5));
  }
  await vi.advanceTimersByTimeAsync(399);
  expect(numbers()).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(numbers()).toEqual([[44, 45, 46, 47, 48, 49, 50, 51]]);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(sent).toHaveLength(1);
  lost = 1; // while somebody types, too
  for (let i = 0; i < 30; i++) {
    await vi.advanceTimersByTimeAsync(200);
    say(key(6));
  }
  await vi.advanceTimersByTimeAsync(400);
  sent = [];
  say(key(7));
  await vi.advanceTimersByTimeAsync(25);
  expect(numbers()).toEqual([[82]]);
});

it('says it twice more where losses cannot be counted', async () => {
  again.stop();
  again = new Again(channel as unknown as RTCDataChannel, () => Promise.reject(new Error('closed')));
  for (let i = 0; i < 3; i++) {
    sent = [];
    say(key(4));
    await vi.advanceTimersByTimeAsync(6_000);
    expect(sent).toHaveLength(2);
  }
});

it('leaves what is no input, and long text, to the ordered channel', () => {
  say({ case: 'ping', value: { id: 1n } });
  say({ case: 'text', value: { text: 'x'.repeat(1_000) } });
  vi.advanceTimersByTime(1_000);
  expect(sent).toEqual([]);
  say(key(4));
  vi.advanceTimersByTime(30);
  expect(numbers()).toEqual([[2]]);
});

it('never says more than a message takes', () => {
  for (let i = 0; i < 100; i++) say(key(4));
  vi.advanceTimersByTime(1_000);
  expect(numbers().every((n) => n.length <= 32)).toBe(true);
});

it('keeps quiet while the channel is closed or full, and after the end', () => {
  channel.readyState = 'connecting';
  say(key(4));
  vi.advanceTimersByTime(1_000);
  channel.readyState = 'open';
  channel.bufferedAmount = 10_000;
  say(key(4));
  vi.advanceTimersByTime(1_000);
  channel.bufferedAmount = 0;
  say(key(4));
  again.stop();
  vi.advanceTimersByTime(1_000);
  expect(sent).toEqual([]);
});
