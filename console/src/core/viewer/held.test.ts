import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { decode } from '../frames';
import { Held } from './held';
import { AgainSchema, ToDesktopSchema } from '../wire/oriel/v1/channel_pb';

type Body = Exclude<MessageInitShape<typeof ToDesktopSchema>['body'], undefined>;

let channel: { readyState: RTCDataChannelState; bufferedAmount: number; send: (data: unknown) => void };
let said: string[];
let ordered: Body[];
let held: Held;
beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  ordered = [];
  const send = (data: unknown) => {
    const { inputs, held: now } = decode(AgainSchema, data as Uint8Array);
    said.push(`${inputs.length} ${now?.usages} ${now?.buttons}`);
  };
  channel = { readyState: 'open', bufferedAmount: 0, send };
  held = new Held(channel, (body) => ordered.push(body));
});
afterEach(() => {
  held.stop();
  vi.useRealTimers();
});
const say = (body: Body) => held.note(create(ToDesktopSchema, { body }));
const key = (usage: number, down: boolean): Body => ({ case: 'key', value: { usage, down } });
const button = (down: boolean): Body => ({ case: 'button', value: { button: 2, down } });
const taken = (ms: number) => (vi.advanceTimersByTime(ms), said.splice(0));

// Rule: a held state needs proof of life: each 200 ms what is held is named.
it('names what is held each 200 ms, and nothing while nothing is', () => {
  expect(taken(1_000)).toEqual([]);
  say(key(4, true));
  expect(taken(200)).toEqual(['0 4 ']);
  say(button(true));
  expect(taken(200)).toEqual(['0 4 2']);
  say(key(4, false));
  expect(taken(200)).toEqual(['0  2']);
  say(button(false));
  expect(taken(1_000)).toEqual([]);
});

it('says nothing more of what somebody types who is quick', () => {
  for (let i = 0; i < 20; i++) {
    say(key(4, true));
    vi.advanceTimersByTime(100);
    say(key(4, false));
    vi.advanceTimersByTime(50);
  }
  expect(said).toEqual([]);
});

it('ends with all that is released, and with the connection', () => {
  say(key(4, true));
  say({ case: 'releaseAll', value: {} });
  expect(taken(1_000)).toEqual([]);
  say(key(4, true));
  held.stop();
  expect(taken(1_000)).toEqual([]);
});

it('takes the ordered channel where the other one is not open, and none that is full', () => {
  held.begin();
  expect(ordered).toEqual([{ case: 'held', value: {} }]);
  channel.readyState = 'closed';
  say(key(4, true));
  vi.advanceTimersByTime(200);
  expect(ordered.at(-1)).toEqual({ case: 'held', value: { usages: [4], buttons: [] } });
  channel.readyState = 'open';
  channel.bufferedAmount = 10_000;
  expect(taken(400)).toEqual([]);
});

it('names no more than a message takes', () => {
  for (let usage = 4; usage < 100; usage++) say(key(usage, true));
  expect(taken(200)[0]?.split(',')).toHaveLength(32);
});
