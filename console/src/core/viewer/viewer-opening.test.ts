import { describe, expect, it, vi } from 'vitest';
import { fakeHandoff, FakePeerConnection, FakeSocket, FakeStream } from '../fakes';
import { Live } from '../relay/live';
import {
  answer,
  connect,
  digest,
  introduce,
  live,
  machineKey,
  opens,
  peer,
  picture,
  pins,
  relay,
  sdp,
  settle,
  sign,
  start,
  useLive,
  viewer,
} from './viewer-fixture';
import { Code, EndReason, Scope } from '../wire/oriel/v1/session_pb';

describe('opening', () => {
  it('offers by itself, with its channels and no playout delay', async () => {
    await start();
    expect(opens()).toMatchObject([
      { attempt: 1, computerId: 'c1', wanted: [Scope.VIEW, Scope.CONTROL], sdp: 'offer 0', sessionId: '' },
    ]);
    // Before anything can arrive: what is decoded for nobody is dropped.
    const { srcObject } = document.querySelector('video') as HTMLVideoElement;
    expect((srcObject as FakeStream).tracks).toEqual([peer().receiver['track']]);
    expect(peer().channel('pointer').options).toEqual({
      ordered: false,
      maxRetransmits: 0,
      protocol: 'oriel.v1',
    });
    expect(peer().channel('control').options).toEqual({ protocol: 'oriel.v1' });
    expect(peer().receiver).toMatchObject({ jitterBufferTarget: 0, playoutDelayHint: 0 });
    expect(peer().configuration.iceTransportPolicy).toBe('all');
  });

  it('waits for the relay before it offers', async () => {
    relay().drop();
    await start();
    expect(viewer.state.name).toBe('relay');
    expect(opens()).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(400);
    relay().greet();
    await settle();
    expect(opens()).toHaveLength(1);
  });

  it('has its offer ready when the relay is there, and takes the ways that it names', async () => {
    relay().drop();
    await start();
    expect(FakePeerConnection.all).toHaveLength(1);
    expect(peer().localDescription).toBeNull(); // no ways are looked for yet
    await vi.advanceTimersByTimeAsync(400);
    const iceServers = [{ urls: ['turn:relay'], username: 'u', credential: 'c' }];
    relay().onopen?.();
    relay().deliver({ case: 'welcome', value: { personId: 'p', iceServers } });
    await settle();
    expect(FakePeerConnection.all).toHaveLength(1);
    expect(peer().configuration).toEqual({
      iceServers,
      iceTransportPolicy: 'all',
      bundlePolicy: 'max-bundle',
    });
    expect(opens()).toMatchObject([{ attempt: 1, sdp: 'offer 0', iceUserName: 'u' }]);
    await answer(await introduce());
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  it('leaves no connection behind when it goes before the relay was there', async () => {
    relay().drop();
    await start();
    viewer.close();
    expect(peer().closed).toBe(true);
  });

  it('goes by the relay alone when it is told to', async () => {
    await start({ relayOnly: true });
    expect(peer().configuration.iceTransportPolicy).toBe('relay');
  });

  it('is live once the answer is verified, both sides are connected and a picture is shown', async () => {
    const states: string[] = [];
    await start();
    viewer.on('state', (s) => states.push(s.name));
    const attempt = await introduce();
    await answer(attempt);
    expect(peer().remote).toBe(sdp);
    peer().become('connected');
    picture();
    expect(states).toEqual(['connecting', 'connected', 'live']);
    expect(pins.get('c1')).toEqual(machineKey);
  });

  it('holds its candidates back until the session is open, and those of the agent until the answer is set', async () => {
    await start();
    peer().onicecandidate?.({
      candidate: { candidate: 'mine', sdpMid: '0', sdpMLineIndex: 0, usernameFragment: 'u' },
    });
    expect(relay().of('candidate')).toHaveLength(0);
    const attempt = await introduce();
    expect(relay().of('candidate')[0]?.value).toMatchObject({
      attempt,
      sessionId: 's1',
      candidate: 'mine',
      sdpMid: '0',
    });
    relay().deliver({
      case: 'candidate',
      value: { attempt, sessionId: 's1', candidate: 'theirs', sdpMid: '0' },
    });
    expect(peer().candidates).toHaveLength(0);
    await answer(attempt);
    expect(peer().candidates).toMatchObject([{ candidate: 'theirs', sdpMid: '0' }]);
  });

  it('says that the computer is offline, and goes on when it comes', async () => {
    await start();
    relay().deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    expect(viewer.state.name).toBe('offline');
    await vi.advanceTimersByTimeAsync(25_000);
    expect(viewer.state.name).toBe('offline');
    await answer(await introduce());
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  it('offers anew when it has waited for an hour', async () => {
    await start();
    relay().deliver({ case: 'sessionWaiting', value: { attempt: 1, computerId: 'c1' } });
    relay().deliver({ case: 'iceServers', value: {} });
    await settle();
    expect(opens().map((o) => o.attempt)).toEqual([1]); // its request holds those it has
    vi.setSystemTime(Date.now() + 3_601_000);
    relay().deliver({ case: 'iceServers', value: {} });
    await settle();
    expect(opens().map((o) => o.attempt)).toEqual([1, 2]);
  });

  it('tries again when nobody answers', async () => {
    await start();
    await introduce();
    await vi.advanceTimersByTimeAsync(8_000);
    relay().deliver({ case: 'iceServers', value: {} }); // the relay is there
    await vi.advanceTimersByTimeAsync(8_000);
    expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: 's1' });
    expect(FakePeerConnection.all[0]?.closed).toBe(true);
  });
});

describe('trust', () => {
  it('stops and warns when the key has changed, and connects once it is trusted', async () => {
    const known = new Uint8Array(32).fill(1);
    pins.set('c1', known);
    await start();
    await answer(await introduce());
    expect(viewer.state).toMatchObject({ name: 'changed', known, shown: machineKey, by: 'browser' });
    expect(FakePeerConnection.all.map((p) => [p.remote, p.closed])).toEqual([[undefined, true]]);
    expect(
      relay()
        .of('closeSession')
        .map((b) => b.value.sessionId),
    ).toEqual(['s1']);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(opens()).toHaveLength(1);
    viewer.trustNewKey();
    await settle();
    await answer(await introduce(undefined, 's2'), 's2');
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  // Rule: the first use of a computer's key is shown to the operator, and only that.
  it('says a key that this browser sees for the first time, also to who listens later', async () => {
    await start();
    const keys: object[] = [];
    viewer.on('newKey', (key) => keys.push(key));
    await answer(await introduce());
    const first = { key: machineKey, knownAs: undefined };
    expect(keys).toEqual([first]);
    expect(viewer.snapshot.newKey).toEqual(first);
    viewer.disconnect();
    viewer.retry();
    await settle();
    await answer(await introduce(undefined, 's2'), 's2');
    expect(keys).toEqual([first]);
  });

  it.each([
    ['a signature for another session', { signature: sign('s2') }],
    ['another nonce', { nonce: new Uint8Array(16) }],
    ['another certificate', { sdp: sdp.replace(digest, digest.replaceAll('A', 'B')) }],
  ])('stops at %s', async (_name, more) => {
    await start();
    await answer(await introduce(), 's1', more);
    expect(viewer.state.name).toBe('forged');
    expect(peer().remote).toBeUndefined();
    expect(pins.size).toBe(0);
  });

  it('ignores an answer to an older attempt or another session', async () => {
    await start();
    const attempt = await introduce();
    await answer(attempt + 1);
    await answer(attempt, 's9');
    expect(peer().remote).toBeUndefined();
    expect(viewer.state.name).toBe('connecting');
  });
});

describe('resilience', () => {
  it('goes on untouched when only the live socket is lost, and attaches to the next', async () => {
    await connect();
    relay().drop();
    await vi.advanceTimersByTimeAsync(400);
    expect(viewer.state.name).toBe('live');
    relay().greet();
    expect(
      relay()
        .of('attachSession')
        .map((b) => b.value.sessionId),
    ).toEqual(['s1']);
    expect(FakePeerConnection.all).toHaveLength(1);
  });

  it('moves from a socket handed off to another without anybody seeing it', async () => {
    live.close();
    const handoff = fakeHandoff();
    useLive(new Live('ws://relay', { open: FakeSocket.open, handoff }));
    await connect();
    const seen: unknown[] = [];
    viewer.on('state', (state) => seen.push(state.name));
    viewer.on('unsteady', (silent) => seen.push(silent));
    live.on('state', (state) => seen.push(state));
    live.moveToOwnSocket();
    relay().greet();
    const sessions = relay()
      .of('attachSession')
      .map((b) => b.value.sessionId);
    expect(sessions).toEqual(['s1']);
    // What the relay says to the window that it takes the session to be gone from.
    handoff.fake.deliver({ case: 'problem', value: { sessionId: 's1', code: Code.BUSY } });
    await settle();
    expect([seen, FakePeerConnection.all.length]).toEqual([[], 1]);
    relay().deliver({ case: 'sessionEnded', value: { sessionId: 's1', reason: EndReason.ENDED } });
    expect(seen).toEqual(['ended']);
  });

  it('asks anew when the socket goes that it asked on', async () => {
    live.close();
    const handoff = fakeHandoff();
    useLive(new Live('ws://relay', { open: FakeSocket.open, handoff }));
    await start();
    handoff.ongone?.();
    relay().greet();
    await settle();
    expect(relay().of('openSession')).toHaveLength(1);
    await answer(await introduce());
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  it('makes a new connection in the same session after a loss', async () => {
    await connect();
    peer().become('failed');
    expect(viewer.state.name).toBe('resuming');
    await vi.advanceTimersByTimeAsync(300);
    expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: 's1' });
    await answer(await introduce());
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  it('gives a silent network two seconds', async () => {
    await connect();
    const unsteady: boolean[] = [];
    viewer.on('unsteady', (silent) => unsteady.push(silent));
    peer().become('disconnected');
    await vi.advanceTimersByTimeAsync(1_900);
    peer().become('connected');
    picture();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(viewer.state.name).toBe('live');
    expect(unsteady).toEqual([true, false]);
    peer().become('disconnected');
    await vi.advanceTimersByTimeAsync(2_000);
    expect(viewer.state.name).toBe('resuming');
  });

  it('waits for the relay when both are lost', async () => {
    await connect();
    relay().drop();
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(300);
    expect(viewer.state.name).toBe('resuming');
    const before = opens().length;
    await vi.advanceTimersByTimeAsync(400);
    relay().greet();
    await settle();
    expect(opens()).toHaveLength(before + 1);
  });

  it('opens a new session when the old one is gone', async () => {
    await connect();
    peer().become('failed');
    await vi.advanceTimersByTimeAsync(300);
    relay().deliver({ case: 'problem', value: { attempt: 2, code: Code.NOT_FOUND } });
    await vi.advanceTimersByTimeAsync(600);
    expect(opens().at(-1)).toMatchObject({ attempt: 3, sessionId: '' });
  });

  it.each([EndReason.NETWORK, EndReason.AGENT_STOPPED, EndReason.LOST])(
    'comes back by itself after an end of reason %i',
    async (reason) => {
      await connect();
      relay().deliver({ case: 'sessionEnded', value: { sessionId: 's1', reason } });
      await vi.advanceTimersByTimeAsync(400);
      expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: '' });
    },
  );

  it('takes the end of one attempt for no more than that', async () => {
    await connect();
    relay().deliver({
      case: 'sessionEnded',
      value: { sessionId: 's1', reason: EndReason.NETWORK, attempt: 9 },
    });
    expect(viewer.state.name).toBe('live');
    relay().deliver({
      case: 'sessionEnded',
      value: { sessionId: 's1', reason: EndReason.NETWORK, attempt: 1 },
    });
    expect(viewer.state.name).toBe('resuming');
    await vi.advanceTimersByTimeAsync(300);
    expect(opens().at(-1)?.sessionId).toBe('s1');
  });
});

describe('an agent that stops', () => {
  // Rule: a loss is not an end: what comes back by itself is waited for, with words, until the operator says otherwise.
  it.each([
    [EndReason.AGENT_STOPPED, Code.UNSPECIFIED],
    [EndReason.REFUSED, Code.UNAVAILABLE],
    [EndReason.FAILED, Code.UNAVAILABLE],
    [EndReason.OFFLINE, Code.UNSPECIFIED],
  ])('waits for an agent that stopped (reason %i, code %i), however long', async (reason, code) => {
    await connect();
    relay().deliver({ case: 'sessionEnded', value: { sessionId: 's1', reason: EndReason.AGENT_STOPPED } });
    expect(viewer.state.name).toBe('away');
    // It is still there to refuse, or its relay is not yet done with it.
    await vi.advanceTimersByTimeAsync(400);
    const refused = await introduce(undefined, 's2');
    relay().deliver({ case: 'sessionEnded', value: { sessionId: 's2', reason, code } });
    await vi.advanceTimersByTimeAsync(1_000);
    relay().deliver({ case: 'problem', value: { attempt: refused + 1, code: Code.UNAVAILABLE } });
    await vi.advanceTimersByTimeAsync(1_500);
    relay().deliver({ case: 'sessionWaiting', value: { attempt: refused + 2, computerId: 'c1' } });
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(viewer.state.name).toBe('away');
    // This relay gave no sign of life meanwhile, so that the live socket is looked for anew.
    while (relay().closed) await vi.advanceTimersByTimeAsync(1_000);
    relay().greet();
    await settle();
    await answer(await introduce(undefined, 's3'), 's3');
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  it('waits for an agent until the operator ends it', async () => {
    await connect();
    peer().say({ case: 'bye', value: { reason: EndReason.AGENT_STOPPED } });
    await vi.advanceTimersByTimeAsync(400);
    expect(viewer.state.name).toBe('away');
    viewer.disconnect();
    const before = opens().length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(viewer.state).toMatchObject({ name: 'ended', reason: EndReason.OPERATOR });
    expect(opens()).toHaveLength(before);
  });
});

// Rule: an agent that went without a word is missed at once, by two signs: the relay lost it, and nothing comes from it.
describe('an agent that goes without a word', () => {
  const bytes = (bytesReceived: number) =>
    peer().stats.set('p', { id: 'p', type: 'candidate-pair', bytesReceived });
  const lost = (sessionId = 's1') => relay().deliver({ case: 'agentLost', value: { sessionId } });

  it('is waited for, in the same session if it comes back with it', async () => {
    await connect();
    bytes(1000);
    lost();
    await vi.advanceTimersByTimeAsync(800);
    expect(viewer.state).toEqual({ name: 'away', silent: true });
    await vi.advanceTimersByTimeAsync(400);
    expect(opens().at(-1)?.sessionId).toBe('s1');
    relay().deliver({ case: 'sessionWaiting', value: { attempt: 2, computerId: 'c1' } });
    expect(viewer.state).toEqual({ name: 'away', silent: true });
    await answer(await introduce());
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });

  it('is missed although something was still under way', async () => {
    await connect();
    bytes(1000);
    lost();
    await vi.advanceTimersByTimeAsync(300);
    bytes(1100);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(viewer.state.name).toBe('away');
  });

  it('is none that only its relay lost', async () => {
    await connect();
    for (let i = 0; i < 20; i++) {
      bytes(1000 + i);
      if (i === 0) lost();
      await vi.advanceTimersByTimeAsync(300);
    }
    expect(viewer.state.name).toBe('live');
    expect(opens()).toHaveLength(1);
  });

  it('is none that the relay did not lose, nor one of another session', async () => {
    await connect();
    bytes(1000);
    lost('s2');
    await vi.advanceTimersByTimeAsync(3_000);
    expect(viewer.state.name).toBe('live');
  });
});

// Rule: what the list shows online is not called offline while the relay's nodes cannot reach each other.
describe('a computer at a node that cannot be reached', () => {
  it('is waited for in true words, and comes by itself', async () => {
    await start();
    const attempt = opens().at(-1)?.attempt ?? 0;
    const waiting = (unreachable: boolean) =>
      relay().deliver({ case: 'sessionWaiting', value: { attempt, computerId: 'c1', unreachable } });
    waiting(true);
    expect(viewer.state.name).toBe('apart');
    waiting(false);
    expect(viewer.state.name).toBe('offline');
    waiting(true);
    await answer(await introduce());
    peer().become('connected');
    picture();
    expect(viewer.state.name).toBe('live');
  });
});

// Rule: TURN's word that a limit is reached (486) gets to the person, as long as there is no connection.
describe('a relay that relays no more', () => {
  it('is said while no way is found', async () => {
    await start();
    peer().onicecandidateerror?.({ errorCode: 701 }); // a server that cannot be reached
    expect(viewer.snapshot.crowded).toBeFalsy();
    peer().onicecandidateerror?.({ errorCode: 486 });
    expect(viewer.snapshot.crowded).toBe(true);
    await answer(await introduce());
    peer().become('connected');
    expect(viewer.snapshot.crowded).toBe(false);
  });
});
