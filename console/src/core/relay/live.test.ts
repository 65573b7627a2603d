import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeSocket } from '../fakes';
import { Live, type LiveOptions, type LiveState } from './live';
import { Topic } from '../wire/oriel/v1/live_pb';

let live: Live;
let states: LiveState[];

function start(options: Partial<LiveOptions> = {}) {
  live = new Live('ws://relay/live/v1', { open: FakeSocket.open, ...options });
  states = [];
  live.on('state', (s) => states.push(s));
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});

afterEach(() => {
  live.close();
  vi.useRealTimers();
});

describe('Live', () => {
  it('is open when the relay has greeted, and not before', () => {
    start();
    FakeSocket.last.onopen?.();
    expect(live.state).toBe('connecting');
    expect(live.send({ case: 'renewIce', value: {} })).toBe(false);
    FakeSocket.last.greet();
    expect(live.state).toBe('open');
    expect(live.welcome?.personId).toBe('p');
  });

  it('hands on snapshots and deltas', () => {
    start();
    const seen: string[] = [];
    live.on('computers', (v) => seen.push(v.computers.map((c) => c.name).join()));
    live.on('computer', (v) => seen.push(v.name));
    FakeSocket.last.greet();
    FakeSocket.last.deliver({ case: 'computers', value: { computers: [{ name: 'a' }, { name: 'b' }] } });
    FakeSocket.last.deliver({ case: 'computer', value: { name: 'c' } });
    expect(seen).toEqual(['a,b', 'c']);
  });

  it('comes back by itself and watches again what it watched', () => {
    start();
    FakeSocket.last.greet();
    live.watch(Topic.COMPUTERS);
    const first = FakeSocket.last;
    first.drop();
    expect(live.state).toBe('lost');
    vi.advanceTimersByTime(400);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last.greet();
    expect(states).toEqual(['open', 'lost', 'open']);
    expect(FakeSocket.last.of('watch').map((b) => b.value.topics)).toEqual([[Topic.COMPUTERS]]);
  });

  it('waits longer after every failure, but never over five seconds', () => {
    start({ signedIn: async () => undefined });
    for (let i = 0; i < 12; i++) {
      FakeSocket.last.drop();
      const count = FakeSocket.all.length;
      vi.advanceTimersByTime(5_000);
      expect(FakeSocket.all.length).toBe(count + 1);
    }
    FakeSocket.last.drop();
    const count = FakeSocket.all.length;
    vi.advanceTimersByTime(2_000);
    expect(FakeSocket.all.length).toBe(count);
  });

  it('tries at once when the network is back', () => {
    start();
    FakeSocket.last.drop();
    const count = FakeSocket.all.length;
    window.dispatchEvent(new Event('online'));
    expect(FakeSocket.all.length).toBe(count + 1);
  });

  it('gives up a connection that does not open, and one that went silent', () => {
    start();
    vi.advanceTimersByTime(10_000);
    expect(states).toEqual(['lost']);
    vi.advanceTimersByTime(200);
    FakeSocket.last.greet();
    const silent = FakeSocket.last;
    // Rule: a relay that vanishes without a word is missed within 15 s.
    vi.advanceTimersByTime(10_000);
    expect(silent.of('renewIce')).toHaveLength(1);
    vi.advanceTimersByTime(5_000);
    expect(silent.closed).toBe(true);
    expect(live.state).toBe('lost');
  });

  it('stays with one that answers late, but in time', () => {
    start();
    FakeSocket.last.greet();
    vi.advanceTimersByTime(14_000);
    FakeSocket.last.deliver({ case: 'iceServers', value: {} });
    vi.advanceTimersByTime(14_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(live.state).toBe('open');
  });

  it('ignores what an older connection still delivers', () => {
    start();
    FakeSocket.last.greet();
    const old = FakeSocket.last;
    const late = old.onmessage;
    old.drop();
    vi.advanceTimersByTime(400);
    let heard = 0;
    live.on('computer', () => heard++);
    old.onmessage = late;
    old.deliver({ case: 'computer', value: { name: 'ghost' } });
    expect(heard).toBe(0);
  });

  it.each([
    ['text', 'hello'],
    ['rubbish', new Uint8Array([255, 255]).buffer],
    ['half a message', new Uint8Array([0x0a, 0x10, 1, 2]).buffer],
  ])('drops a connection that says %s', (_name, data) => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    start();
    FakeSocket.last.greet();
    FakeSocket.last.onmessage?.({ data });
    expect(live.state).toBe('lost');
  });

  it('asks whether it is signed in when no connection opens, and stops if not', async () => {
    const signedIn = vi.fn(async () => false);
    start({ signedIn });
    FakeSocket.last.drop();
    await vi.advanceTimersByTimeAsync(0);
    expect(live.state).toBe('signed-out');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('stops when the relay signs it out', () => {
    start();
    FakeSocket.last.greet();
    FakeSocket.last.deliver({ case: 'signedOut', value: {} });
    expect(live.state).toBe('signed-out');
    expect(FakeSocket.last.closed).toBe(true);
  });

  // Rule: the TURN credentials that a tab has for its next session are renewed in time, whatever its clock says.
  it.each([0, 3_600_000, -3_600_000])('renews its TURN credentials before they expire, %i ms off', (off) => {
    start();
    FakeSocket.last.onopen?.();
    const now = BigInt(Date.now() + off);
    FakeSocket.last.deliver({ case: 'welcome', value: { now, iceExpiresAt: now + 120_000n } });
    const alive = () => FakeSocket.last.deliver({ case: 'computerRemoved', value: { id: 'x' } });
    for (let i = 0; i < 6; i++) {
      vi.advanceTimersByTime(9_500);
      alive();
    }
    expect(FakeSocket.last.of('renewIce')).toHaveLength(0);
    vi.advanceTimersByTime(3_000);
    expect(FakeSocket.last.of('renewIce')).toHaveLength(1);
    FakeSocket.last.deliver({ case: 'iceServers', value: { iceServers: [{ urls: ['turn:x'] }] } });
    expect(live.iceServers[0]?.urls).toEqual(['turn:x']);
  });

  it('hands off no socket with credentials that may have expired', () => {
    start();
    FakeSocket.last.greet();
    for (let i = 0; i < 12; i++) {
      vi.advanceTimersByTime(9_700);
      FakeSocket.last.deliver({ case: 'computerRemoved', value: { id: 'x' } });
    }
    expect(live.handOff()).toBeUndefined();
    FakeSocket.last.deliver({ case: 'iceServers', value: {} });
    expect(live.handOff()).toBeDefined();
  });
});
