import { describe, expect, it, vi } from 'vitest';
import { connect, opens, peer, answer, introduce, picture, relay, settle, viewer } from './viewer-fixture';

const server = (host: string) => ({
  urls: [`turn:${host}:3478?transport=udp`],
  username: 'u',
  credential: 'c',
});
const pair = { type: 'candidate-pair', localCandidateId: 'l', remoteCandidateId: 'r' };
const received = (bytesReceived: number) => peer().stats.set('p', { id: 'p', ...pair, bytesReceived });

/** A session by that way, of a relay that has named as many nodes that may carry it. */
async function running(way: 'relay' | 'host', carriers: number): Promise<void> {
  await connect();
  const iceServers = ['a', 'b'].slice(0, carriers).map(server);
  relay().deliver({ case: 'iceServers', value: { iceServers } });
  peer().stats = new Map<string, unknown>(
    Object.entries({
      t: { id: 't', type: 'transport', selectedCandidatePairId: 'p' },
      l: { id: 'l', type: 'local-candidate', candidateType: way },
      r: { id: 'r', type: 'remote-candidate', candidateType: 'host' },
      v: { id: 'v', type: 'inbound-rtp', kind: 'video', framesDecoded: 0 },
    }),
  );
  received(1000);
  await vi.advanceTimersByTimeAsync(1_100); // a look at the statistics
}

// Rule: a session that went through a relay's node that died moves within three seconds.
describe('a relayed session whose relay is away', () => {
  async function relayBack(way: 'relay' | 'host', alive: boolean, after = 400) {
    await running(way, 2);
    relay().drop();
    await vi.advanceTimersByTimeAsync(400);
    if (alive) received(1100);
    await vi.advanceTimersByTimeAsync(after - 400);
    const states = viewer.state.name;
    relay().greet(['b'].map(server));
    await settle();
    if (alive) received(1200);
    return states;
  }

  it('is made anew at once when the tab has another node, in the same session', async () => {
    expect(await relayBack('relay', false, 1_000)).toBe('resuming');
    expect(relay().of('openSession')).toMatchObject([{ value: { attempt: 2, sessionId: 's1' } }]);
    expect(relay().of('attachSession')).toEqual([]);
    expect(viewer.snapshot.moving).toBe(true);
    await answer(await introduce());
    peer().become('connected');
    picture();
    expect([viewer.state.name, viewer.snapshot.moving]).toEqual(['live', false]);
  });

  it('is made anew, too, when the other node is there before it is known', async () => {
    expect(await relayBack('relay', false)).toBe('live');
    expect(relay().of('attachSession')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(600);
    expect(relay().of('openSession')).toMatchObject([{ value: { attempt: 2, sessionId: 's1' } }]);
  });

  it('is left alone where it goes on', async () => {
    await relayBack('relay', true);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(viewer.state.name).toBe('live');
    expect(relay().of('attachSession')).toHaveLength(1);
  });

  it('is none of a direct one', async () => {
    await relayBack('host', false);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(viewer.state.name).toBe('live');
  });
});

// Rule: a relayed session that falls silent is not waited for where another node may carry it.
describe('a relayed session that is silent', () => {
  const silent = async () => {
    peer().stats.set('v', { id: 'v', type: 'inbound-rtp', kind: 'video', framesDecoded: 30 });
    received(2000);
    await vi.advanceTimersByTimeAsync(2_500); // a look, half of one, 700 ms, and the pause before an attempt
  };

  it('moves to another node within three seconds', async () => {
    await running('relay', 2);
    await silent();
    expect([viewer.state.name, viewer.snapshot.moving]).toEqual(['resuming', true]);
    expect(opens().at(-1)).toMatchObject({ attempt: 2, sessionId: 's1' });
  });

  it.each([
    ['whose node is the only one', 'relay', 1],
    ['that is direct', 'host', 2],
  ] as const)('waits %s', async (_name, way, carriers) => {
    await running(way, carriers);
    await silent();
    expect(viewer.state.name).toBe('live');
    expect(opens()).toHaveLength(1);
  });
});
