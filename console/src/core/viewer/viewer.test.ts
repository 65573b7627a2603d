import { describe, expect, it, vi } from 'vitest';
import { FakePeerConnection } from '../fakes';
import {
  answer,
  connect,
  controls,
  introduce,
  opens,
  peer,
  picture,
  relay,
  settle,
  start,
  target,
  viewer,
} from './viewer-fixture';
import { Preset } from '../wire/oriel/v1/channel_pb';
import { Code, EndReason, Scope } from '../wire/oriel/v1/session_pb';

describe('ending', () => {
  it.each([EndReason.ENDED, EndReason.CUSTOMER, EndReason.REFUSED, EndReason.TIMEOUT, EndReason.FAILED])(
    'stays ended after reason %i, until it is asked to connect again',
    async (reason) => {
      await connect();
      relay().deliver({
        case: 'sessionEnded',
        value: { sessionId: 's1', reason, code: Code.NO_CODEC, detail: 'd' },
      });
      expect(viewer.state).toEqual({ name: 'ended', reason, code: Code.NO_CODEC, detail: 'd' });
      expect(peer().closed).toBe(true);
      await vi.advanceTimersByTimeAsync(14_000);
      expect(opens()).toHaveLength(1);
      viewer.retry();
      await settle();
      expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: '' });
    },
  );

  it('is heard from the agent as well', async () => {
    await connect();
    peer().say({ case: 'bye', value: { reason: EndReason.ENDED } });
    expect(viewer.state).toMatchObject({ name: 'ended', reason: EndReason.ENDED });
  });

  it('by the operator is told to both', async () => {
    await connect();
    viewer.disconnect();
    expect(controls('leave')).toHaveLength(1);
    expect(viewer.state).toMatchObject({ name: 'ended', reason: EndReason.OPERATOR });
    // The agent closes when it has heard everything; then the relay is told.
    expect(peer().closed).toBe(false);
    expect(relay().of('closeSession')).toHaveLength(0);
    peer().channel('control').onclose?.();
    expect(peer().closed).toBe(true);
    expect(relay().of('closeSession')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(relay().of('closeSession')).toHaveLength(1);
  });

  it('does not wait long for an agent that does not close', async () => {
    await connect();
    viewer.disconnect();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(peer().closed).toBe(true);
    expect(relay().of('closeSession')).toHaveLength(1);
  });

  it('does not wait at all with the page', async () => {
    await connect();
    viewer.close(true);
    expect(peer().closed).toBe(true);
    expect(relay().of('closeSession')).toHaveLength(1);
  });

  it('by closing leaves nothing behind', async () => {
    await connect();
    viewer.close();
    peer().channel('control').onclose?.();
    expect(peer().closed).toBe(true);
    expect(target.childElementCount).toBe(0);
    expect(controls('leave')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(FakePeerConnection.all).toHaveLength(1);
  });

  it('takes back a request that waits', async () => {
    await start();
    relay().deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    viewer.close();
    expect(
      relay()
        .of('closeSession')
        .map((b) => b.value),
    ).toMatchObject([{ sessionId: '', attempt: 1 }]);
  });

  it('shows what the relay objects to', async () => {
    await start();
    relay().deliver({ case: 'problem', value: { attempt: 1, code: Code.FORBIDDEN, detail: 'no' } });
    expect(viewer.state).toEqual({
      name: 'ended',
      reason: EndReason.FAILED,
      code: Code.FORBIDDEN,
      detail: 'no',
    });
  });
});

describe('what the pictures took', () => {
  const look = (at: number, framesDecoded: number) => ({
    ...{ id: 'v', type: 'inbound-rtp', kind: 'video', timestamp: at, framesDecoded },
    ...{ totalDecodeTime: framesDecoded * 0.004, jitterBufferDelay: framesDecoded * 0.002 },
    jitterBufferEmittedCount: framesDecoded,
  });
  const seen = () => controls('seen').map((b) => b.value);

  it('is told while they flow, and before leaving', async () => {
    let frames = 0;
    await start();
    vi.spyOn(peer(), 'getStats').mockImplementation(async () => new Map([['v', look(Date.now(), frames)]]));
    await answer(await introduce());
    peer().become('connected');
    picture();
    await settle();
    frames = 60;
    await vi.advanceTimersByTimeAsync(9_500);
    expect(seen()).toMatchObject([{ frames: 60, waitUs: 2000, decodeUs: 4000, shownUs: 0 }]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(seen()).toHaveLength(1); // nothing came
    frames = 63;
    await vi.advanceTimersByTimeAsync(1_500);
    viewer.disconnect();
    expect(seen()).toMatchObject([{ frames: 60 }, { frames: 3 }]);
    expect(peer().control.map((b) => b.case)).toEqual(['held', 'ping', 'ping', 'seen', 'seen', 'leave']);
  });
});

describe('input', () => {
  const stage = () => target.querySelector<HTMLElement>('.stage') ?? target;
  const press = (code: string) =>
    stage().dispatchEvent(new KeyboardEvent('keydown', { code, key: code, bubbles: true, cancelable: true }));

  it('goes out only while live', async () => {
    await start();
    press('KeyA');
    await answer(await introduce());
    press('KeyA');
    expect(controls('key')).toHaveLength(0);
    peer().become('connected');
    picture();
    press('KeyA');
    expect(controls('key')).toHaveLength(1);
  });

  it('without the scope is for the agent to refuse, which is told', async () => {
    await connect({ viewOnly: true }, [Scope.VIEW]);
    const denied: string[] = [];
    viewer.on('denied', (d) => denied.push(d.detail));
    press('KeyA');
    expect(controls('key')).toHaveLength(1);
    peer().say({ case: 'denied', value: { scope: Scope.CONTROL, code: Code.SCOPE, detail: 'view only' } });
    expect(denied).toEqual(['view only']);
    peer().say({ case: 'dropped', value: { number: 3 } }); // Rule: what came too late is dropped and said.
    expect(controls('heard').map((b) => b.value)).toMatchObject([{ number: 3 }]);
  });

  it('of long text is cut between characters', async () => {
    await connect();
    viewer.sendText('😀'.repeat(2500));
    const texts = controls('text').map((b) => (b.case === 'text' ? b.value.text : ''));
    expect(texts.map((t) => [...t].length)).toEqual([1000, 1000, 500]);
    expect(texts.join('')).toBe('😀'.repeat(2500));
  });

  it('ends with the connection when the agent says rubbish', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    await connect();
    peer()
      .channel('control')
      .onmessage?.({ data: new Uint8Array([255]).buffer });
    expect(viewer.state.name).toBe('resuming');
  });
});

describe('what the picture is to be like', () => {
  it('is said on every connection, and 4:4:4 is heard of', async () => {
    const heard: boolean[] = [];
    await start();
    viewer.on('fullChroma', (can) => heard.push(can));
    viewer.setStream({ preset: Preset.SHARP, maxFps: 10, maxKbps: 500 });
    await answer(await introduce());
    peer().become('connected');
    peer().say({ case: 'ready', value: { codec: 'AV1', fullChroma: true } });
    expect(heard).toEqual([true]);
    viewer.setStream({ preset: Preset.SPEED, maxFps: 0, maxKbps: 0 });
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(5_000);
    await answer(await introduce());
    peer().become('connected');
    expect(FakePeerConnection.all).toHaveLength(2);
    expect(controls('stream').map((b) => b.value)).toMatchObject([
      { preset: Preset.SHARP, maxFps: 10, maxKbps: 500 },
      { preset: Preset.SPEED, maxFps: 0, maxKbps: 0 },
      { preset: Preset.SPEED, maxFps: 0, maxKbps: 0 },
    ]);
  });
});
