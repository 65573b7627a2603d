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
  target,
  viewer,
} from './viewer-fixture';
import { controlling, watching } from './scopes';
import { Code, EndReason, Scope } from '../wire/oriel/v1/session_pb';

const changes = () => relay().asked('changeScopes');
const inForce = (scopes: readonly Scope[]) =>
  peer().say({ case: 'scopesInForce', value: { scopes: [...scopes] } });
const press = (code: string) =>
  (target.querySelector('.stage') ?? target).dispatchEvent(
    new KeyboardEvent('keydown', { code, key: code, bubbles: true, cancelable: true }),
  );

/** The connection is lost, and the viewer asks for another. */
async function reconnect() {
  peer().become('failed');
  await vi.advanceTimersByTimeAsync(5_000);
  return opens().at(-1);
}

function refusals() {
  const said: unknown[] = [];
  viewer.on('unchanged', (why) => said.push(why));
  return said;
}

// Rule: what a session may do is changed in that session and nowhere else: no other
// connection, no other session; what is held is released before control is given back.
describe('scopes', () => {
  it('are taken and given back in the running session', async () => {
    await connect({ viewOnly: true }, [Scope.VIEW]);
    const said: (readonly Scope[])[] = [];
    viewer.on('scopes', (scopes) => said.push(scopes));
    viewer.change(controlling);
    expect(changes().at(-1)?.value).toMatchObject({ sessionId: 's1', wanted: controlling });
    expect(viewer.scopes).toEqual(watching); // until the agent says so
    inForce(controlling);
    press('KeyA');
    viewer.change(watching);
    expect(controls('key').map((b) => b.value)).toMatchObject([
      { usage: 4, down: true },
      { usage: 4, down: false },
    ]);
    expect(controls('releaseAll')).toHaveLength(1);
    inForce(watching);
    expect(said).toEqual([controlling, watching]);
    expect([FakePeerConnection.all.length, opens().length, viewer.state.name]).toEqual([1, 1, 'live']);
    expect(relay().of('closeSession')).toHaveLength(0);
  });

  it('that do not come are told, with why, and nothing else happens', async () => {
    await connect({ viewOnly: true }, [Scope.VIEW]);
    const said = refusals();
    viewer.change(controlling);
    const replyTo = changes().at(-1)?.id ?? 0;
    expect(replyTo).toBeGreaterThan(0);
    relay().deliver({
      case: 'problem',
      value: { sessionId: 's1', replyTo, code: Code.FORBIDDEN, detail: 'no' },
    });
    expect(said).toEqual([{ why: 'refused', detail: 'no' }]);
    expect([FakePeerConnection.all.length, viewer.state.name]).toEqual([1, 'live']);
    expect(await reconnect()).toMatchObject({ wanted: watching, sessionId: 's1' });
  });

  it('are not asked of a relay that cannot change them, which is told', async () => {
    await connect({ viewOnly: true }, [Scope.VIEW]);
    const said = refusals();
    relay().drop();
    viewer.change(controlling);
    await vi.advanceTimersByTimeAsync(400);
    relay().greet([], []);
    viewer.change(controlling);
    expect(said).toEqual([
      { why: 'relay-away', detail: '' },
      { why: 'relay-old', detail: '' },
    ]);
    expect(changes()).toHaveLength(0);
    expect(viewer.state.name).toBe('live');
  });
});

// Rule: a connection is asked for with what the person chose last, without what was
// taken away since.
describe('another connection', () => {
  it('does not ask for control that was taken away', async () => {
    await connect();
    inForce(watching);
    expect(await reconnect()).toMatchObject({ wanted: watching, sessionId: 's1' });
  });

  it('does not ask for control that was given back', async () => {
    await connect();
    inForce(controlling);
    viewer.change(watching);
    expect(await reconnect()).toMatchObject({ wanted: watching, sessionId: 's1' });
  });

  it('asks for control that was taken in the session', async () => {
    await connect({ viewOnly: true }, [Scope.VIEW]);
    viewer.change(controlling);
    inForce(controlling);
    expect(await reconnect()).toMatchObject({ wanted: controlling, sessionId: 's1' });
    await answer(await introduce());
    peer().become('connected');
    picture();
    inForce(watching);
    expect(await reconnect()).toMatchObject({ wanted: watching });
  });

  it('asks for what the person chose last, when the person connects again', async () => {
    await connect();
    inForce(watching);
    peer().say({ case: 'bye', value: { reason: EndReason.ENDED } });
    viewer.retry();
    await vi.advanceTimersByTimeAsync(0);
    expect(opens().at(-1)).toMatchObject({ wanted: controlling, sessionId: '' });
  });
});

// Rule: a Problem answers what it names, and ends nothing else.
describe('a problem', () => {
  const problem = (value: object) =>
    relay().deliver({ case: 'problem', value: { code: Code.FORBIDDEN, detail: 'no', ...value } });

  it.each([
    ['another attempt', { attempt: 99, sessionId: 's1' }],
    ['an ask', { replyTo: 4, sessionId: 's1' }],
    ['another session', { sessionId: 's2' }],
    ['nothing', {}],
  ])('of %s changes nothing', async (_what, names) => {
    await connect();
    problem(names);
    expect([viewer.state.name, FakePeerConnection.all.length]).toEqual(['live', 1]);
  });

  it('of the attach leaves a connection that runs on, unless the session is over', async () => {
    await connect();
    relay().greet();
    const replyTo = relay().asked('attachSession').at(-1)?.id ?? 0;
    expect(replyTo).toBeGreaterThan(0);
    problem({ replyTo, sessionId: 's1', code: Code.UNAVAILABLE });
    problem({ replyTo, sessionId: 's1' });
    expect(viewer.state.name).toBe('live');
    problem({ replyTo, sessionId: 's1', code: Code.NOT_FOUND });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(opens().at(-1)).toMatchObject({ sessionId: '' });
  });
});
