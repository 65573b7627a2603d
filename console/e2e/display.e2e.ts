/** A computer whose display is not there, dies, or comes later. */
import { describe, expect, it } from 'vitest';
import { videoShows } from './harness/browser.ts';
import { Display, freeNumber } from './harness/display.ts';
import { card, connect, live } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { shot } from './harness/shots.ts';
import { blue, cell, Target } from './harness/target.ts';
import { World } from './harness/world.ts';

describe('a display', () => {
  it('that is not there yet is said, and shown when it appears', async () => {
    const number = freeNumber();
    const w = await World.start({ display: false, agent: { display: `:${number}` } });
    try {
      const view = await connect(w.context, w.page);
      await until(
        'the viewer to say so',
        async () => /no display/i.test(await view.locator('body').innerText()),
        20_000,
      );
      await shot(view, 'no-display');
      expect(await card(w.page).innerText()).toContain('In session');

      w.display = await Display.start(1280, 720, number);
      w.target = await Target.start(w.display);
      await live(view);
      const a = cell(38);
      await view.keyboard.press('a');
      await videoShows(view, a.x, a.y, blue);
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await w.stop();
    }
  });

  it('that dies in mid-session leaves agent and session standing', async () => {
    const number = freeNumber();
    const w = await World.start({ display: { width: 1280, height: 720, number } });
    try {
      const pid = w.agent.pid;
      const view = await connect(w.context, w.page);
      await live(view);
      await view.keyboard.down('a');
      await w.display.crash();
      await until(
        'the viewer to say so',
        async () => /no display/i.test(await view.locator('body').innerText()),
        20_000,
      );
      expect(w.agent.pid).toBe(pid);
      expect(await card(w.page).innerText()).toContain('In session');

      w.display = await Display.start(1024, 640, number); // another size, too
      w.target = await Target.start(w.display);
      await until(
        'the new picture',
        async () => {
          return (await view.locator('video').evaluate((v) => (v as HTMLVideoElement).videoWidth)) === 1024;
        },
        20_000,
      );
      const s = cell(39);
      await view.keyboard.press('s');
      await videoShows(view, s.x, s.y, blue);
      await view.keyboard.up('a');
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await w.stop();
    }
  });
});
