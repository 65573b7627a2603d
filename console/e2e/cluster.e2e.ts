/** Two relay processes on one PostgreSQL and one NATS. */
import { describe, expect, it } from 'vitest';
import { newContext, startBrowser, videoShows } from './harness/browser.ts';
import { Display } from './harness/display.ts';
import { addComputer, card, closeDialog, connect, live, makeOwner, owner } from './harness/pages.ts';
import { Agent, Relay, tempDir } from './harness/programs.ts';
import { until } from './harness/proc.ts';
import { watchPeers } from './harness/rtc.ts';
import { Postgres, Nats } from './harness/services.ts';
import { blue, cell, Target } from './harness/target.ts';

describe('two relays', () => {
  it('are one: console here, agent there, and a node may die', async () => {
    const closers: (() => Promise<unknown>)[] = [];
    const logs: (() => string)[] = [];
    const keep = <T extends { stop(): Promise<unknown> }>(x: T): T => {
      closers.unshift(() => x.stop());
      return x;
    };
    try {
      const database = keep(await Postgres.start());
      const nats = keep(await Nats.start());
      const shared = [
        '--database',
        database.url,
        '--nats',
        nats.url,
        '--sealing-key',
        'A'.repeat(43),
        '--blobs',
        `file://${tempDir('blobs')}`,
      ];
      const one = keep(await Relay.start({ args: shared }));
      const two = keep(await Relay.start({ args: shared }));
      logs.push(
        () => `one:\n${one.log()}`,
        () => `two:\n${two.log()}`,
      );
      // Rule: row-level security binds the role of these tests; a relay that is not bound warns.
      for (const relay of [one, two]) expect(relay.log()).not.toContain('row-level security');
      const display = keep(await Display.start());
      const target = keep(await Target.start(display));

      const browser = await startBrowser();
      closers.unshift(() => browser.close());
      const { context } = await newContext(browser);
      await watchPeers(context);
      const page = await context.newPage();
      // The newest link counts; its token is good at either node.
      await makeOwner(page, (await two.ownerLink()).replace(two.url, one.url));
      const token = await addComputer(page);

      // The agent is on the second node, with the first as its next address.
      const agent = keep(new Agent({ relays: [two.url, one.url], token, display: display.name }));
      await page.getByText(/ is here$/).waitFor({ timeout: 20_000 });
      await closeDialog(page);
      await until('the first node to show it', async () => /Online/.test(await card(page).innerText()));

      const view = await connect(context, page);
      await live(view);
      const a = cell(38);
      await view.keyboard.press('a');
      await videoShows(view, a.x, a.y, blue);

      // The agent's node dies: the agent comes to the first one by itself.
      await two.crash();
      await until(
        'the agent to be on the first node',
        async () =>
          /In session/.test(await card(page).innerText()) && /connected|enrolled/i.test(agent.log()),
        20_000,
        () => agent.log(),
      );
      const s = cell(39);
      await view.keyboard.press('s');
      await videoShows(view, s.x, s.y, blue);

      // A new session through the only node left shows that it is really there.
      await view.close();
      const again = await until(
        'a session through the first node',
        async () => {
          const v = await connect(context, page);
          await live(v, 10_000);
          return v;
        },
        30_000,
        () => `${one.log()}\n${agent.log()}`,
      );
      const d = cell(40);
      await again.keyboard.press('d');
      await videoShows(again, d.x, d.y, blue);
      expect(target.events().some((e) => e.kind === 'key' && e.code === 40)).toBe(true);
      expect(owner.email).toContain('@');
    } catch (e) {
      throw new Error(`${String(e)}\n${logs.map((l) => l()).join('\n')}`, { cause: e });
    } finally {
      for (const close of closers) await close().catch(() => undefined);
    }
  });
});
