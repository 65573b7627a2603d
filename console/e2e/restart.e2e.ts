/** The relay is killed and comes back while a direct session runs. */
import { describe, expect, it } from 'vitest';
import { videoShows } from './harness/browser.ts';
import { card, connect, disconnect, live, state } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { wire } from './harness/rtc.ts';
import { blue, cell } from './harness/target.ts';
import { World } from './harness/world.ts';

describe('a relay that dies', () => {
  it('does not take the session with it', async () => {
    const w = await World.start();
    try {
      const view = await connect(w.context, w.page);
      await live(view);
      expect((await wire(view)).localType).not.toBe('relay');
      const frames = async (): Promise<number> => (await wire(view)).framesDecoded;

      await w.relay.crash();
      // The picture and the keys go on without it.
      const before = await frames();
      const q = cell(24);
      await view.keyboard.press('q');
      await videoShows(view, q.x, q.y, blue);
      expect(await frames()).toBeGreaterThan(before);
      expect(await state(view)).toBe('live');

      await w.relay.restart();
      const started = Date.now();
      await until(
        'the agent to be back in the list',
        async () =>
          /In session|Online/.test(
            await card(w.page)
              .innerText()
              .catch(() => ''),
          ),
        20_000,
        () => w.logs(),
      );
      expect(Date.now() - started).toBeLessThan(10_000);
      await until('the list to say it is in session', async () =>
        /In session/.test(await card(w.page).innerText()),
      );

      const e = cell(26);
      await view.keyboard.press('e');
      await videoShows(view, e.x, e.y, blue);

      await w.page.goto(w.relay.url + '/journal');
      await expect.poll(() => w.page.getByTestId('session').count()).toBe(1);
      expect(await w.page.getByTestId('session').getAttribute('data-state')).toBe('running');

      // The end still finds its way into the same row.
      await disconnect(view);
      await expect
        .poll(() => w.page.getByTestId('session').first().innerText(), { timeout: 10_000 })
        .toContain('Disconnected');
      expect(await w.page.getByTestId('session').count()).toBe(1);
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await w.stop();
    }
  });
});
