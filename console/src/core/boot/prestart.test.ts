import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Handover } from './handover';
import { viewerQuery } from '../viewer/query';
import { prestart } from './prestart';
import { fakeHandoff, FakePeerConnection, FakeSocket, FakeStream } from '../fakes';
import { Scope } from '../wire/oriel/v1/session_pb';

let handover: Handover;
function begun(query = '') {
  const wanted = viewerQuery(new URLSearchParams(query));
  handover.begin(wanted);
  void prestart(handover, 'c1', wanted);
}
const relay = () => FakeSocket.last;
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  handover = new Handover();
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
  handover.takeLive()?.close();
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
    ).toMatchObject([{ computerId: 'c1', wanted: [Scope.VIEW] }]);
    expect(FakePeerConnection.last.configuration.iceTransportPolicy).toBe('relay');

    const live = handover.takeLive();
    if (!live) throw new Error('no connection');
    expect(handover.takeLive()).toBeUndefined();
    expect(handover.takeViewer(live, 'c2')).toBeUndefined();
    const viewer = handover.takeViewer(live, 'c1');
    expect(viewer?.state.name).toBe('asking');
    expect(handover.takeViewer(live, 'c1')).toBeUndefined();
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
    const wanted = viewerQuery(new URLSearchParams());
    handover.begin(wanted);
    relay().greet();
    await settle();
    expect(FakePeerConnection.all).toHaveLength(1);
    void prestart(handover, 'c1', wanted);
    await settle();
    expect(relay().of('openSession')).toHaveLength(1);
    expect([FakeSocket.all.length, FakePeerConnection.all.length]).toEqual([1, 1]);
  });

  it('begins with the socket that its opener hands off, until it is in no hurry any more', async () => {
    const handoff = fakeHandoff();
    vi.stubGlobal('opener', { orielHandOff: () => handoff });
    begun();
    await settle();
    expect(handoff.fake.of('openSession')).toHaveLength(1);
    expect(FakeSocket.all).toHaveLength(1);
    handoff.fake.deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    expect(FakeSocket.all).toHaveLength(2);
    relay().greet();
    await settle();
    expect(relay().of('openSession')).toHaveLength(1);
    expect(handoff.fake.closed).toBe(true);
  });

  it('finds its ways into the network with the servers that its opener knows, before it can ask', async () => {
    const servers = [{ urls: ['turn:relay'], username: 'u', credential: 'c' }];
    const handoff = fakeHandoff(servers);
    vi.stubGlobal('opener', { orielHandOff: () => handoff });
    const wanted = viewerQuery(new URLSearchParams());
    handover.begin(wanted);
    await settle();
    const peer = FakePeerConnection.last;
    expect(peer.configuration.iceServers).toEqual(servers);
    expect(peer.localDescription?.sdp).toBe('offer 0');
    peer.localDescription = { sdp: 'offer 0 and what was found since' };
    const set = vi.spyOn(peer, 'setLocalDescription');
    void prestart(handover, 'c1', wanted);
    await settle();
    expect(handoff.fake.of('openSession').map((b) => b.value.sdp)).toEqual([
      'offer 0 and what was found since',
    ]);
    expect(set).not.toHaveBeenCalled();
    // Rule: a session has the credentials that its connection was made with, whatever came since.
    expect(handoff.fake.of('openSession')[0]?.value.iceUserName).toBe('u');
  });

  it('does not go on with an offer of another kind', async () => {
    handover.begin(viewerQuery(new URLSearchParams('ice=relay')));
    void prestart(handover, 'c1', viewerQuery(new URLSearchParams()));
    expect(FakePeerConnection.all.map((p) => p.closed)).toEqual([true, false]);
  });

  it('leaves nothing behind when nobody is signed in', async () => {
    begun();
    const live = handover.takeLive();
    relay().greet();
    relay().deliver({ case: 'signedOut', value: {} });
    await settle();
    expect(FakePeerConnection.last.closed).toBe(true);
    expect(live && handover.takeViewer(live, 'c1')).toBeUndefined();
  });

  it('leaves nothing behind when the page goes away before it was there', () => {
    begun();
    window.dispatchEvent(Object.assign(new Event('pagehide'), { persisted: true }));
    expect(FakePeerConnection.last.closed).toBe(false);
    window.dispatchEvent(new Event('pagehide'));
    expect(FakePeerConnection.last.closed).toBe(true);
  });
});
