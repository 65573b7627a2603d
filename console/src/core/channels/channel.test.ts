import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeChannel } from '../fakes';
import { encode } from '../frames';
import { ChannelEndSchema } from '../wire/oriel/v1/channel_pb';
import { Code, Scope } from '../wire/oriel/v1/session_pb';
import { Channel, MAX_CHANNELS, MAX_MESSAGE, MAX_ROOM, MAX_TOGETHER, MAX_UNREAD, room } from './channel';

let pipe: FakeChannel;
let channel: Channel;
let ended: number;
const settle = () => new Promise((resolve) => setTimeout(resolve));
const bytes = (length: number, fill = 1) => new Uint8Array(length).fill(fill);
const deliver = (message: Uint8Array<ArrayBuffer>) => pipe.onmessage?.({ data: message.buffer });
const refuse = (value: object) =>
  pipe.onmessage?.({
    data: btoa(String.fromCharCode(...encode(ChannelEndSchema, create(ChannelEndSchema, value)))),
  });
const read = async () => {
  const read: number[] = [];
  for await (const message of channel) read.push(message.length);
  return read;
};

beforeEach(() => {
  ended = 0;
  pipe = new FakeChannel('files', {});
  channel = new Channel(pipe as unknown as RTCDataChannel, () => ended++);
});

// Rule: viewer and agent keep to the same bounds of a channel. The agent's test reads the
// same file.
it('has the bounds of the agent', () => {
  const file = join(import.meta.dirname, '../../../../protocol/testdata/channels.json');
  const { room: rooms, ...bounds } = JSON.parse(readFileSync(file, 'utf8'));
  expect(bounds).toEqual({
    maxMessage: MAX_MESSAGE,
    maxUnread: MAX_UNREAD,
    maxRoom: MAX_ROOM,
    maxTogether: MAX_TOGETHER,
    maxChannels: MAX_CHANNELS,
  });
  expect(rooms.length).toBeGreaterThan(0);
  for (const { open, bytes } of rooms) expect(room(open), `${open} open`).toBe(bytes);
});

describe('a channel', () => {
  it('sends what was given before it was open, in order', async () => {
    const sent = Promise.all([channel.send(bytes(1)), channel.send(bytes(2))]);
    await settle();
    expect(pipe.sent).toEqual([]);
    pipe.open();
    await sent;
    expect(pipe.sent.map((m) => m.length)).toEqual([1, 2]);
  });

  // Rule: a channel lets no more than MAX_ROOM bytes wait for the network, or one message alone.
  it('waits for room', async () => {
    pipe.open();
    await channel.send(bytes(MAX_MESSAGE));
    pipe.bufferedAmount = MAX_MESSAGE;
    void channel.send(bytes(MAX_ROOM - MAX_MESSAGE + 1));
    await settle();
    expect(pipe.sent).toHaveLength(1);
    expect(pipe.bufferedAmountLowThreshold).toBeLessThan(MAX_ROOM);
    pipe.bufferedAmount = pipe.bufferedAmountLowThreshold;
    pipe.onbufferedamountlow?.();
    await settle();
    expect(pipe.sent).toHaveLength(2);
  });

  it('has less room beside others', async () => {
    let open = 1;
    channel = new Channel(pipe as unknown as RTCDataChannel, undefined, () => open);
    pipe.open();
    pipe.bufferedAmount = room(16);
    open = 16;
    void channel.send(bytes(1));
    await settle();
    expect(pipe.sent).toHaveLength(0);
    open = 1;
    pipe.onbufferedamountlow?.();
    await settle();
    expect(pipe.sent).toHaveLength(1);
  });

  it('does not send what is too long', async () => {
    pipe.open();
    await expect(channel.send(bytes(MAX_MESSAGE + 1))).rejects.toThrow(RangeError);
    expect(pipe.sent).toEqual([]);
  });

  it('hands out what came, and ends when the agent closes it', async () => {
    pipe.open();
    deliver(bytes(3));
    const all = read();
    deliver(bytes(4));
    await settle();
    pipe.drop();
    expect(await all).toEqual([3, 4]);
    expect([ended, pipe.closed]).toEqual([1, true]);
    await expect(channel.send(bytes(1))).rejects.toMatchObject({ code: Code.UNSPECIFIED });
  });

  it("tells the agent's reason, after what came before it", async () => {
    pipe.open();
    pipe.bufferedAmount = MAX_ROOM;
    const waits = channel.send(bytes(1));
    waits.catch(() => undefined);
    deliver(bytes(3));
    refuse({ code: Code.SCOPE, scope: Scope.CONTROL, detail: 'not allowed' });
    const reader = channel[Symbol.asyncIterator]();
    expect((await reader.next()).value).toHaveLength(3);
    const why = { code: Code.SCOPE, scope: Scope.CONTROL, detail: 'not allowed' };
    await expect(reader.next()).rejects.toMatchObject(why);
    await expect(waits).rejects.toMatchObject(why);
    expect([ended, pipe.closed]).toEqual([1, true]);
  });

  // Rule: what an agent sends that nobody reads is bounded.
  it('ends when more comes than is read', async () => {
    pipe.open();
    for (let i = 0; i < MAX_UNREAD / 32_768; i++) deliver(bytes(32_768));
    expect(ended).toBe(0);
    deliver(bytes(1));
    await expect(read()).rejects.toMatchObject({ code: Code.BUSY });
    expect(pipe.closed).toBe(true);
  });

  it.each([
    ['no reason', 'x'.repeat(10) + '!'],
    ['a long one', btoa('\n'.repeat(3_000))],
  ])('ends with %s that can be read', async (_name, data) => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    pipe.onmessage?.({ data });
    await expect(read()).rejects.toMatchObject({ code: Code.INVALID });
  });

  it('ends with its connection', async () => {
    channel.lose();
    channel.lose();
    await expect(read()).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    expect(ended).toBe(1);
  });

  it('is closed here', async () => {
    channel.close();
    expect(await read()).toEqual([]);
    expect(pipe.closed).toBe(true);
  });
});
