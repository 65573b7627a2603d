/** A computer that answers with another key than the one this browser knows. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { card, connect, live, state } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { shot } from './harness/shots.ts';
import { World } from './harness/world.ts';

describe('the key of a computer', () => {
  it('is pinned by the viewer: another one makes it warn and stop', async () => {
    const w = await World.start();
    try {
      const view = await connect(w.context, w.page);
      await live(view);
      await view.close();

      // What the browser remembers becomes another machine's key, which is the
      // same as the machine answering with a key that the browser does not know.
      const changed = await w.page.evaluate(() => {
        for (const [name, value] of Object.entries(localStorage)) {
          const key = String(value).match(/[A-Za-z0-9+/_-]{43}=?|[0-9a-f]{64}/)?.[0];
          if (!key) continue;
          const first = key[0] === 'A' || key[0] === 'a' ? 'b' : 'a';
          localStorage.setItem(name, String(value).replace(key, first + key.slice(1)));
          return name;
        }
        return null;
      });
      expect(changed, 'a pinned key').not.toBeNull();

      const again = await connect(w.context, w.page);
      await until('the warning', async () => (await state(again)) === 'changed');
      expect(await again.locator('body').innerText()).toContain('has changed');
      expect(
        (await again.locator('video').count()) === 0 ||
          (await again.locator('video').evaluate((v) => (v as HTMLVideoElement).videoWidth)) === 0,
      ).toBe(true);
      await shot(again, 'key-changed');
      const before = w.target.events().length;
      await again.keyboard.press('z');
      // Nothing but a typed confirmation goes on.
      const name = await card(w.page).getByRole('heading').innerText();
      await again.getByText('Compare the keys').click();
      const trust = again.getByRole('button', { name: 'Trust the new key' });
      expect(await trust.isDisabled()).toBe(true);
      await again.getByTestId('trust-name').fill(name);
      await trust.click();
      await live(again);
      expect(w.target.events().slice(before)).toEqual([]);
      await again.close();

      const third = await connect(w.context, w.page);
      await live(third);
    } finally {
      await w.stop();
    }
  });

  it('is another one after the agent lost its data, and the computer is a new one', async () => {
    const w = await World.start();
    try {
      await w.agent.stop();
      await until('it to be offline', async () => /Offline/.test(await card(w.page).innerText()));
      rmSync(w.agent.data, { recursive: true });
      await w.agent.restart();
      // Its token is used up and its key is unknown: it is refused, and says why.
      await until(
        'a refusal that a person can act on',
        () => /token|enroll/i.test(w.agent.log()),
        10_000,
        () => w.agent.log(),
      );
      expect(await card(w.page).count()).toBe(1);
    } finally {
      await w.stop();
    }
  });
});
