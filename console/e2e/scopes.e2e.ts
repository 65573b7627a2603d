/** Control is taken and given back in a running session: the same connection, obeyed or refused by the agent. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { heard, say, watchChannels } from './harness/channel.ts';
import { card, connect, live, showToolbar } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { World } from './harness/world.ts';
import type { Page } from 'playwright-core';

const CONTROL = 2;

describe('what a session may do', () => {
  let w: World;
  beforeAll(async () => {
    w = await World.start();
    await watchChannels(w.context);
  });
  afterAll(async () => {
    await w?.stop();
    expect(w?.errors ?? []).toEqual([]);
  });

  const toggle = async (view: Page): Promise<void> => {
    await showToolbar(view);
    await view.getByTestId('view-only').click();
  };
  const controls = (view: Page, yes: boolean): Promise<unknown> =>
    until(`a session ${yes ? 'with' : 'without'} control`, async () => {
      const said = (await heard(view)).map((m) => m.body).filter((b) => b.case === 'scopesInForce');
      const pressed = await view.getByTestId('view-only').getAttribute('aria-pressed');
      return said.at(-1)?.value.scopes.includes(CONTROL) === yes && pressed === String(!yes);
    });
  const connections = (view: Page): Promise<number> =>
    view.evaluate(() => (window as unknown as { __peers: unknown[] }).__peers.length);
  /** A key goes down and up; the agent answers a ping after it, so that it has been dealt with. */
  let pings = 1_000n;
  const press = async (view: Page, usage: number): Promise<void> => {
    await say(view, { case: 'key', value: { usage, down: true } });
    await say(view, { case: 'key', value: { usage, down: false } });
    const id = ++pings;
    await say(view, { case: 'ping', value: { id } });
    await until('the agent to answer', async () =>
      (await heard(view)).some((m) => m.body.case === 'pong' && m.body.value.id === id),
    );
  };

  // Rule: view only → control → view only is one session over one peer connection; input is
  // obeyed and refused accordingly, and another viewer of the computer is not touched.
  it('changes in the running session, and for nobody else', async () => {
    const other = await connect(w.context, w.page);
    await live(other);
    const id = await card(w.page).getAttribute('data-id');
    const view = await w.context.newPage();
    await view.goto(`${w.relay.url}/computers/${id}/view?mode=view`);
    await live(view);
    const [mine, theirs] = [await connections(view), await connections(other)];

    const before = w.target.events().length;
    await press(view, 7);
    await toggle(view);
    await controls(view, true);
    await press(view, 5);
    await w.target.saw('b', (e) => e.kind === 'key' && e.code === 56 && !e.down);
    await toggle(view);
    await controls(view, false);
    await press(view, 8);
    await press(other, 6);
    await w.target.saw('c', (e) => e.kind === 'key' && e.code === 54 && !e.down);
    const keys = w.target
      .events()
      .slice(before)
      .filter((e) => e.kind === 'key');
    expect(keys.map((e) => e.code)).toEqual([56, 56, 54, 54]);

    expect([await connections(view), await connections(other)]).toEqual([mine, theirs]);
    for (const page of [view, other])
      expect(await page.getByTestId('view').getAttribute('data-state')).toBe('live');
    await w.page.goto(w.relay.url + '/journal');
    const running = w.page.locator('[data-testid=session][data-state=running]');
    await until('the journal to show both sessions', async () => (await running.count()) === 2);
    await w.page.goto(w.relay.url + '/');
    await view.close();
    await other.close();
  });
});
