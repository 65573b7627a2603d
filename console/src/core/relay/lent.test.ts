import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeLent, FakeSocket } from '../fakes';
import { borrow, lendFrom } from './lent';
import { Live, type LiveOptions } from './live';

const made: Live[] = [];
function start(options: Partial<LiveOptions> = {}) {
  const live = new Live('ws://relay', { open: FakeSocket.open, ...options });
  const told: string[] = [];
  live.on('state', (state) => told.push(state));
  live.on('welcome', () => told.push('welcome'));
  made.push(live);
  return { live, told };
}
/** Starts on a lent socket. */
function borrowed() {
  const lent = fakeLent();
  return { ...start({ lent }), lent };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});
afterEach(() => {
  made.splice(0).forEach((live) => live.close());
  delete window.orielLend;
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a page that lends its socket', () => {
  let lender: ReturnType<typeof start>;
  const socket = () => FakeSocket.all[0] as FakeSocket;
  beforeEach(() => {
    lender = start();
    socket().greet();
    lender.live.watch({ computers: true });
    lender.told.length = 0;
    lendFrom(() => lender.live);
    vi.stubGlobal('opener', window);
  });

  it('gives it with what the relay said on it, and watches nothing on it any more', () => {
    const iceServers = [{ urls: ['turn:renewed'] }];
    socket().deliver({ case: 'iceServers', value: { iceServers } });
    const { live } = start({ lent: borrow() });
    expect(live.state).toBe('open');
    expect(live.welcome?.personId).toBe('p');
    expect(live.iceServers[0]?.urls).toEqual(['turn:renewed']);
    live.send({ case: 'openSession', value: { attempt: 1 } });
    expect(socket().sent.map((b) => b.case)).toEqual(['watch', 'watch', 'renewIce', 'openSession']);
    expect(socket().of('watch').at(-1)?.value.computers).toBe(false);
    expect(socket().closed).toBe(false);
  });

  it('goes on with a new one, of which nobody is told', () => {
    const names: string[] = [];
    lender.live.on('computers', (v) => names.push(...v.computers.map((c) => c.name)));
    borrow();
    expect(FakeSocket.all).toHaveLength(2);
    expect(lender.live.state).toBe('open');
    expect(lender.live.send({ case: 'renewIce', value: {} })).toBe(false);
    socket().deliver({ case: 'computers', value: { computers: [{ name: 'stale' }] } });
    FakeSocket.last.greet();
    expect(FakeSocket.last.of('watch').map((b) => b.value.computers)).toEqual([true]);
    FakeSocket.last.deliver({ case: 'computers', value: { computers: [{ name: 'fresh' }] } });
    expect(names).toEqual(['fresh']);
    expect(lender.told).toEqual(['welcome']);
  });

  it('says that the relay is lost when it gets no new one', () => {
    borrow();
    FakeSocket.last.drop();
    expect(lender.told).toEqual(['lost']);
    vi.advanceTimersByTime(400);
    FakeSocket.last.greet();
    expect(lender.told).toEqual(['lost', 'open', 'welcome']);
  });

  it('gives each once', () => {
    expect(borrow()?.socket).toBe(socket());
    expect(borrow()).toBeUndefined(); // the new one is not greeted
    FakeSocket.last.greet();
    expect(borrow()?.socket).toBe(FakeSocket.all[1]);
  });

  it.each<[string, () => void]>([
    ['was lost', () => socket().drop()],
    ['was signed out', () => socket().deliver({ case: 'signedOut', value: {} })],
    ['carries a session', () => lender.live.on('sessionEnded', () => undefined)],
    ['has been silent', () => vi.setSystemTime(Date.now() + 31_000)],
    ['is itself lent', () => (lender = borrowed())],
    ['is still being opened', () => (lender = start())],
  ])('keeps one that %s', (_name, happens) => {
    happens();
    expect(borrow()).toBeUndefined();
  });

  it('is asked by nobody whom it has not opened', () => {
    vi.stubGlobal('opener', null);
    expect(borrow()).toBeUndefined();
    const foreign = {
      get orielLend() {
        throw new DOMException('cross-origin', 'SecurityError');
      },
    };
    vi.stubGlobal('opener', foreign);
    expect(borrow()).toBeUndefined();
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('closes it when the tab goes, after its last words', () => {
    const tab = new EventTarget();
    const lent = window.orielLend?.(tab as Window);
    tab.dispatchEvent(new Event('pagehide'));
    expect(socket().closed).toBe(false);
    vi.advanceTimersByTime(0);
    expect(socket().closed).toBe(true);
    expect(lent?.socket).toBe(socket());
  });

  it.each([
    ['is closed', () => window.dispatchEvent(new Event('pagehide'))],
    ['is frozen', () => document.dispatchEvent(new Event('freeze'))],
  ])('takes it back when it %s, and says so', (_name, happens) => {
    const lent = borrow();
    const { live, told } = start({ lent });
    const before = FakeSocket.all.length;
    happens();
    expect(socket().closed).toBe(true);
    expect(FakeSocket.all).toHaveLength(before + 1); // at once
    expect(live.state).toBe('open');
    FakeSocket.last.greet();
    expect(told).toEqual(['welcome']);
  });
});

describe('a tab that begins with a lent socket', () => {
  it('reads what belongs to another realm', () => {
    const { live, lent } = borrowed();
    const data: unknown = runInNewContext('new Uint8Array([0x72, 0]).buffer'); // IceServers
    expect(data).not.toBeInstanceOf(ArrayBuffer);
    let heard = 0;
    live.on('iceServers', () => heard++);
    lent.fake.onmessage?.({ data });
    expect([heard, live.state]).toEqual([1, 'open']);
  });

  it('moves to one of its own, opened beside, and tells only who attaches a session', () => {
    const { live, told, lent } = borrowed();
    live.watch({ computers: true });
    live.settle();
    live.settle();
    expect(FakeSocket.all).toHaveLength(2);
    expect(live.send({ case: 'renewIce', value: {} })).toBe(true);
    expect(lent.fake.of('renewIce')).toHaveLength(2);
    FakeSocket.last.greet();
    expect(told).toEqual(['welcome']);
    expect(FakeSocket.last.of('watch')).toHaveLength(1);
    expect([lent.fake.closed, lent.fake.onmessage, lent.ongone]).toEqual([true, null, undefined]);
    live.settle();
    vi.advanceTimersByTime(15_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('stays with the lent one as long as it gets none of its own', () => {
    const { live, told, lent } = borrowed();
    lent.fake.deliver({ case: 'iceServers', value: {} });
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
    const { told, lent } = borrowed();
    expect(lent.fake.of('renewIce')).toHaveLength(1);
    vi.advanceTimersByTime(2_000);
    FakeSocket.last.greet();
    expect(FakeSocket.all).toHaveLength(2);
    expect([told, lent.fake.closed]).toEqual([['welcome'], true]);
  });

  it('says that the relay is lost when neither answers', () => {
    const { told, lent } = borrowed();
    vi.advanceTimersByTime(12_000);
    FakeSocket.last.drop();
    expect([told, lent.fake.closed]).toEqual([['lost'], true]);
  });

  it('opens its own when it cannot read the greeting of an older page', () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const lent = fakeLent();
    const { live } = start({ lent: { ...lent, welcome: new Uint8Array([255, 255]) } });
    expect(lent.fake.closed).toBe(true);
    FakeSocket.last.greet();
    expect(live.state).toBe('open');
  });

  it('comes back like any other when the relay closes it', () => {
    const { told, lent } = borrowed();
    lent.fake.drop();
    vi.advanceTimersByTime(400);
    FakeSocket.last.greet();
    expect(told).toEqual(['lost', 'open', 'welcome']);
    expect(lent.ongone).toBeUndefined();
  });

  it('opens its own when the lent one was closed meanwhile', () => {
    const lent = fakeLent();
    lent.fake.close();
    expect(start({ lent }).live.state).toBe('connecting');
    expect(FakeSocket.all).toHaveLength(2);
  });
});
