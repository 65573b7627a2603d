/** From a connection to a picture: what is said, what is asked for, what may be typed. */
import { describe, expect, it, vi } from 'vitest';
import { FakePeerConnection, FakeSocket } from '../fakes';
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
import { Scope } from '../wire/oriel/v1/session_pb';

const press = (code: string) =>
  target
    .querySelector('.stage')
    ?.dispatchEvent(new KeyboardEvent('keydown', { code, key: code, bubbles: true, cancelable: true }));

/** Connects; packets is how many of the video have come at a reading. */
async function connected(packets: () => number = () => 0, scopes?: Scope[]): Promise<void> {
  await start();
  const entry = () => ({ type: 'inbound-rtp', kind: 'video', packetsReceived: packets() });
  vi.spyOn(peer(), 'getStats').mockImplementation(async () => new Map([['v', entry()]]));
  await answer(await introduce(scopes));
  peer().become('connected');
  await settle();
}

describe('a picture', () => {
  // Rule: a session is live when a picture of it was decoded, and takes no input before.
  it('is waited for before anything is live', async () => {
    await connected();
    expect(viewer.state.name).toBe('connected');
    press('KeyA');
    expect(controls('key')).toHaveLength(0);
    picture();
    expect(viewer.state.name).toBe('live');
    press('KeyA');
    expect(controls('key')).toHaveLength(1);
  });

  it('that comes before the channel is open is not waited for again', async () => {
    await start();
    await answer(await introduce());
    picture();
    expect(viewer.state.name).toBe('connecting');
    peer().become('connected');
    expect(viewer.state.name).toBe('live');
  });

  it('of the connection before is no picture of this one', async () => {
    await connect();
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(300);
    await answer(await introduce());
    peer().become('connected');
    expect(viewer.state.name).toBe('resuming');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  // Rule: a session without a display has no picture to wait for, says so, and goes on.
  it('is not there without a display, which is said, and comes with one', async () => {
    await connected();
    peer().say({ case: 'display', value: { available: false, detail: 'no display' } });
    expect(viewer.state.name).toBe('connected');
    expect(viewer.snapshot.display).toBe('no display');
    relay().drop();
    await vi.advanceTimersByTimeAsync(300);
    relay().greet();
    expect(FakeSocket.last.of('attachSession')).toHaveLength(1);
    expect(opens()).toHaveLength(1);
    peer().say({ case: 'display', value: { available: true } });
    picture();
    expect([viewer.state.name, viewer.snapshot.display]).toEqual(['live', undefined]);
  });

  it('left of a display that is gone does not hide that it is', async () => {
    await connect();
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(300);
    await answer(await introduce());
    peer().become('connected');
    peer().say({ case: 'display', value: { available: false, detail: 'no display' } });
    expect(viewer.state.name).toBe('connected');
  });

  it('of a display that came back while nobody was connected is not hidden', async () => {
    await connect();
    peer().say({ case: 'display', value: { available: false, detail: 'no display' } });
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(300);
    await answer(await introduce());
    peer().become('connected');
    peer().say({ case: 'ready', value: { scopes: [Scope.VIEW], desktop: 'x11 :0' } });
    picture();
    expect([viewer.state.name, viewer.snapshot.display]).toEqual(['live', undefined]);
  });

  it('is not waited for by a session that may not see it', async () => {
    await connected(undefined, [Scope.CONTROL]);
    expect(viewer.state.name).toBe('live');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(controls('refresh')).toHaveLength(0);
  });
});

describe('a picture that does not come', () => {
  // Rule: the viewer asks for the picture until it shows one, ever more rarely.
  it('is asked for until it is there', async () => {
    await connected();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(controls('refresh')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60_000);
    const asked = controls('refresh').length;
    expect(asked).toBeGreaterThan(4);
    expect(asked).toBeLessThan(10);
    picture();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(controls('refresh')).toHaveLength(asked);
  });

  it('is asked for also when its packets have come', async () => {
    await connected(() => 5);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(controls('refresh')).toHaveLength(1);
  });

  it('is not asked for while it is on its way', async () => {
    let packets = 0;
    await connected(() => ++packets);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(controls('refresh')).toHaveLength(0);
  });
});

describe('without a network but loopback', () => {
  const online = (is: boolean) => vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(is);

  // Rule: a browser that finds no way to itself is asked again within a second.
  it('a connection that gathers nothing is made anew, and gathers from the beginning', async () => {
    online(false);
    await start();
    expect(FakePeerConnection.all).toHaveLength(1);
    await introduce();
    await vi.advanceTimersByTimeAsync(600);
    expect(FakePeerConnection.all.map((p) => p.closed)).toEqual([true, false]);
    expect(peer().configuration.iceCandidatePoolSize).toBe(1);
    peer().onicecandidate?.({ candidate: null });
    await answer(await introduce());
    peer().become('connected');
    picture();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(FakePeerConnection.all).toHaveLength(2);
    expect(viewer.state.name).toBe('live');
  });

  it('is no matter where there is a network', async () => {
    online(true);
    await start();
    await introduce();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(FakePeerConnection.all).toHaveLength(1);
    expect(peer().configuration.iceCandidatePoolSize).toBeUndefined();
  });
});
