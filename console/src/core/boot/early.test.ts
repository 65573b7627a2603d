import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ahead } from './ahead';
import { asked } from '../viewer/query';
import { begin } from './early';
import { fakeLent, FakePeerConnection, FakeSocket, FakeStream } from '../fakes';
import { Mode } from '../wire/oriel/v1/session_pb';

function begun(query = '') {
  const wanted = asked(new URLSearchParams(query));
  ahead.begin(wanted);
  begin('c1', wanted);
}
const relay = () => FakeSocket.last;
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('RTCPeerConnection', FakePeerConnection);
  vi.stubGlobal('MediaStream', FakeStream);
  vi.stubGlobal('WebSocket', function (url: string) {
    return FakeSocket.open(url);
  });
  vi.spyOn(HTMLMediaElement.prototype, 'play').mockResolvedValue();
  FakeSocket.all = [];
  FakePeerConnection.all = [];
});
afterEach(() => {
  window.dispatchEvent(new Event('pagehide'));
  ahead.takeLive()?.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe('a tab that opens on a viewer', () => {
  it('asks for its session before there is a page, and hands it over once', async () => {
    begun('mode=view&ice=relay');
    relay().greet();
    await settle();
    expect(
      relay()
        .of('openSession')
        .map((b) => b.value),
    ).toMatchObject([{ computerId: 'c1', mode: Mode.VIEW }]);
    expect(FakePeerConnection.last.configuration.iceTransportPolicy).toBe('relay');

    const live = ahead.takeLive();
    if (!live) throw new Error('no connection');
    expect(ahead.takeLive()).toBeUndefined();
    expect(ahead.takeViewer(live, 'c2')).toBeUndefined();
    const viewer = ahead.takeViewer(live, 'c1');
    expect(viewer?.state.name).toBe('asking');
    expect(ahead.takeViewer(live, 'c1')).toBeUndefined();
    const page = document.createElement('div');
    viewer?.moveTo(page, 'screen');
    expect(page.querySelector('video')).not.toBeNull();
    window.dispatchEvent(new Event('pagehide')); // is the page's now
    expect(FakePeerConnection.last.closed).toBe(false);
    viewer?.close();
    live.close();
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('loses nothing that the relay said before the viewer was loaded', async () => {
    const wanted = asked(new URLSearchParams());
    ahead.begin(wanted);
    relay().greet();
    await settle();
    expect(FakePeerConnection.all).toHaveLength(1);
    begin('c1', wanted);
    await settle();
    expect(relay().of('openSession')).toHaveLength(1);
    expect([FakeSocket.all.length, FakePeerConnection.all.length]).toEqual([1, 1]);
  });

  it('begins with the socket that its opener lends, until it is in no hurry any more', async () => {
    const lent = fakeLent();
    vi.stubGlobal('opener', { orielLend: () => lent });
    begun();
    await settle();
    expect(lent.fake.of('openSession')).toHaveLength(1);
    expect(FakeSocket.all).toHaveLength(1);
    lent.fake.deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    expect(FakeSocket.all).toHaveLength(2);
    relay().greet();
    await settle();
    expect(relay().of('openSession')).toHaveLength(1);
    expect(lent.fake.closed).toBe(true);
  });

  it('finds its ways into the network with the servers that its opener knows, before it can ask', async () => {
    const servers = [{ urls: ['turn:relay'], username: 'u', credential: 'c' }];
    const lent = fakeLent(servers);
    vi.stubGlobal('opener', { orielLend: () => lent });
    const wanted = asked(new URLSearchParams());
    ahead.begin(wanted);
    await settle();
    const peer = FakePeerConnection.last;
    expect(peer.configuration.iceServers).toEqual(servers);
    expect(peer.localDescription?.sdp).toBe('offer 0');
    peer.localDescription = { sdp: 'offer 0 and what was found since' };
    const set = vi.spyOn(peer, 'setLocalDescription');
    begin('c1', wanted);
    await settle();
    expect(lent.fake.of('openSession').map((b) => b.value.sdp)).toEqual(['offer 0 and what was found since']);
    expect(set).not.toHaveBeenCalled();
  });

  it('does not go on with an offer of another kind', async () => {
    ahead.begin(asked(new URLSearchParams('ice=relay')));
    begin('c1', asked(new URLSearchParams()));
    expect(FakePeerConnection.all.map((p) => p.closed)).toEqual([true, false]);
  });

  it('leaves nothing behind when nobody is signed in', async () => {
    begun();
    const live = ahead.takeLive();
    relay().greet();
    relay().deliver({ case: 'signedOut', value: {} });
    await settle();
    expect(FakePeerConnection.last.closed).toBe(true);
    expect(live && ahead.takeViewer(live, 'c1')).toBeUndefined();
  });

  it('leaves nothing behind when the page goes away before it was there', () => {
    begun();
    window.dispatchEvent(Object.assign(new Event('pagehide'), { persisted: true }));
    expect(FakePeerConnection.last.closed).toBe(false);
    window.dispatchEvent(new Event('pagehide'));
    expect(FakePeerConnection.last.closed).toBe(true);
  });
});
