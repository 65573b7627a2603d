import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeHandoff, FakeSocket } from '../fakes';
import { takeHandoff, offerHandoff } from './handoff';
import { Live, type LiveOptions } from './live';
import { Topic } from '../wire/oriel/v1/live_pb';

const made: Live[] = [];
function start(options: Partial<LiveOptions> = {}) {
  const live = new Live('ws://relay', { open: FakeSocket.open, ...options });
  const told: string[] = [];
  live.on('state', (state) => told.push(state));
  live.on('welcome', () => told.push('welcome'));
  made.push(live);
  return { live, told };
}
/** Starts on a socket handed off. */
function takenOver() {
  const handoff = fakeHandoff();
  return { ...start({ handoff }), handoff };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});
afterEach(() => {
  made.splice(0).forEach((live) => live.close());
  delete window.orielHandOff;
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a page that hands its socket off', () => {
  let giver: ReturnType<typeof start>;
  const socket = () => FakeSocket.all[0] as FakeSocket;
  beforeEach(() => {
    giver = start();
    socket().greet();
    giver.live.watch(Topic.COMPUTERS);
    giver.told.length = 0;
    offerHandoff(() => giver.live);
    vi.stubGlobal('opener', window);
  });

  it('gives it with what the relay said on it, and watches nothing on it any more', () => {
    const iceServers = [{ urls: ['turn:renewed'] }];
    socket().deliver({ case: 'iceServers', value: { iceServers } });
    const { live } = start({ handoff: takeHandoff() });
    expect(live.state).toBe('open');
    expect(live.welcome?.personId).toBe('p');
    expect(live.iceServers[0]?.urls).toEqual(['turn:renewed']);
    live.send({ case: 'openSession', value: { attempt: 1 } });
    expect(socket().sent.map((b) => b.case)).toEqual(['watch', 'watch', 'renewIce', 'openSession']);
    expect(socket().of('watch').at(-1)?.value.topics).toEqual([]);
    expect(socket().closed).toBe(false);
  });

  it('goes on with a new one, of which nobody is told', () => {
    const names: string[] = [];
    giver.live.on('computers', (v) => names.push(...v.computers.map((c) => c.name)));
    takeHandoff();
    expect(FakeSocket.all).toHaveLength(2);
    expect(giver.live.state).toBe('open');
    expect(giver.live.send({ case: 'renewIce', value: {} })).toBe(false);
    socket().deliver({ case: 'computers', value: { computers: [{ name: 'stale' }] } });
    FakeSocket.last.greet();
    expect(FakeSocket.last.of('watch').map((b) => b.value.topics)).toEqual([[Topic.COMPUTERS]]);
    FakeSocket.last.deliver({ case: 'computers', value: { computers: [{ name: 'fresh' }] } });
    expect(names).toEqual(['fresh']);
    expect(giver.told).toEqual(['welcome']);
  });

  it('says that the relay is lost when it gets no new one', () => {
    takeHandoff();
    FakeSocket.last.drop();
    expect(giver.told).toEqual(['lost']);
    vi.advanceTimersByTime(400);
    FakeSocket.last.greet();
    expect(giver.told).toEqual(['lost', 'open', 'welcome']);
  });

  it('gives each once', () => {
    expect(takeHandoff()?.socket).toBe(socket());
    expect(takeHandoff()).toBeUndefined(); // the new one is not greeted
    FakeSocket.last.greet();
    expect(takeHandoff()?.socket).toBe(FakeSocket.all[1]);
  });

  it.each<[string, () => void]>([
    ['was lost', () => socket().drop()],
    ['was signed out', () => socket().deliver({ case: 'signedOut', value: {} })],
    ['carries a session', () => giver.live.reserve()],
    ['has been silent', () => vi.setSystemTime(Date.now() + 31_000)],
    ['is itself lent', () => (giver = takenOver())],
    ['is still being opened', () => (giver = start())],
  ])('keeps one that %s', (_name, happens) => {
    happens();
    expect(takeHandoff()).toBeUndefined();
  });

  it('is asked by nobody whom it has not opened', () => {
    vi.stubGlobal('opener', null);
    expect(takeHandoff()).toBeUndefined();
    const foreign = {
      get orielHandOff() {
        throw new DOMException('cross-origin', 'SecurityError');
      },
    };
    vi.stubGlobal('opener', foreign);
    expect(takeHandoff()).toBeUndefined();
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('closes it when the tab goes, after its last words', () => {
    const tab = new EventTarget();
    const handoff = window.orielHandOff?.(tab as Window);
    tab.dispatchEvent(new Event('pagehide'));
    expect(socket().closed).toBe(false);
    vi.advanceTimersByTime(0);
    expect(socket().closed).toBe(true);
    expect(handoff?.socket).toBe(socket());
  });

  it.each([
    ['is closed', () => window.dispatchEvent(new Event('pagehide'))],
    ['is frozen', () => document.dispatchEvent(new Event('freeze'))],
  ])('takes it back when it %s, and says so', (_name, happens) => {
    const handoff = takeHandoff();
    const { live, told } = start({ handoff });
    const before = FakeSocket.all.length;
    happens();
    expect(socket().closed).toBe(true);
    expect(FakeSocket.all).toHaveLength(before + 1); // at once
    expect(live.state).toBe('open');
    FakeSocket.last.greet();
    expect(told).toEqual(['welcome']);
  });
});

describe('a tab that begins with a socket handed off', () => {
  it('reads what belongs to another realm', () => {
    const { live, handoff } = takenOver();
    const data: unknown = runInNewContext('new Uint8Array([0x72, 0]).buffer'); // IceServers
    expect(data).not.toBeInstanceOf(ArrayBuffer);
    let heard = 0;
    live.on('iceServers', () => heard++);
    handoff.fake.onmessage?.({ data });
    expect([heard, live.state]).toEqual([1, 'open']);
  });

  it('moves to one of its own, opened beside, and tells only who attaches a session', () => {
    const { live, told, handoff } = takenOver();
    live.watch(Topic.COMPUTERS);
    live.moveToOwnSocket();
    live.moveToOwnSocket();
    expect(FakeSocket.all).toHaveLength(2);
    expect(live.send({ case: 'renewIce', value: {} })).toBe(true);
    expect(handoff.fake.of('renewIce')).toHaveLength(2);
    FakeSocket.last.greet();
    expect(told).toEqual(['welcome']);
    expect(FakeSocket.last.of('watch')).toHaveLength(1);
    expect([handoff.fake.closed, handoff.fake.onmessage, handoff.ongone]).toEqual([true, null, undefined]);
    live.moveToOwnSocket();
    vi.advanceTimersByTime(15_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('stays with the one handed off as long as it gets none of its own', () => {
    const { live, told, handoff } = takenOver();
    handoff.fake.deliver({ case: 'iceServers', value: {} });
    vi.advanceTimersByTime(9_999);
    expect(FakeSocket.all).toHaveLength(1);
    vi.advanceTimersByTime(1); // enough, whoever has not said that it is
    FakeSocket.last.drop();
    expect(live.send({ case: 'renewIce', value: {} })).toBe(true);
    vi.advanceTimersByTime(400);
    expect(FakeSocket.all).toHaveLength(3);
    FakeSocket.last.greet();
    expect(told).toEqual(['welcome']);
  });

  it('does not wait long for one that does not answer', () => {
    const { told, handoff } = takenOver();
    expect(handoff.fake.of('renewIce')).toHaveLength(1);
    vi.advanceTimersByTime(2_000);
    FakeSocket.last.greet();
    expect(FakeSocket.all).toHaveLength(2);
    expect([told, handoff.fake.closed]).toEqual([['welcome'], true]);
  });

  it('says that the relay is lost when neither answers', () => {
    const { told, handoff } = takenOver();
    vi.advanceTimersByTime(12_000);
    FakeSocket.last.drop();
    expect([told, handoff.fake.closed]).toEqual([['lost'], true]);
  });

  it('opens its own when it cannot read the greeting of an older page', () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const handoff = fakeHandoff();
    const { live } = start({ handoff: { ...handoff, welcome: new Uint8Array([255, 255]) } });
    expect(handoff.fake.closed).toBe(true);
    FakeSocket.last.greet();
    expect(live.state).toBe('open');
  });

  it('comes back like any other when the relay closes it', () => {
    const { told, handoff } = takenOver();
    handoff.fake.drop();
    vi.advanceTimersByTime(400);
    FakeSocket.last.greet();
    expect(told).toEqual(['lost', 'open', 'welcome']);
    expect(handoff.ongone).toBeUndefined();
  });

  it('opens its own when the one handed off was closed meanwhile', () => {
    const handoff = fakeHandoff();
    handoff.fake.close();
    expect(start({ handoff }).live.state).toBe('connecting');
    expect(FakeSocket.all).toHaveLength(2);
  });
});
