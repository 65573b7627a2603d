/** The picture is the screen, whatever changes on it: every pixel, by the check of `make bench-peers`. */
import { describe, expect, it } from 'vitest';
import { Checker, limit } from './bench/correct.ts';
import { installProbe } from './bench/probe.ts';
import { Screen } from './bench/screen.ts';
import { connect, live } from './harness/pages.ts';
import { World } from './harness/world.ts';

const changes = 150;

describe('the picture', () => {
  // It is whole with the first frame, and no other follows.
  it('of a still screen of one colour is shown every time', async () => {
    const w = await World.start();
    let screen: Screen | undefined;
    try {
      screen = await Screen.start(w.display);
      await screen.mode('wipe');
      for (let i = 0; i < 8; i++) {
        const view = await connect(w.context, w.page);
        await live(view);
        await view.close();
        await w.page.bringToFront();
      }
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await screen?.stop();
      await w.stop();
    }
  });

  it(`is the screen after each of ${changes} random changes`, async () => {
    const w = await World.start();
    let screen: Screen | undefined;
    try {
      await installProbe(w.context, 'video');
      const view = await connect(w.context, w.page);
      await live(view);
      screen = await Screen.start(w.display);
      const checker = new Checker(view, screen);
      await screen.mode('wipe');
      expect((await checker.begin(15_000)).worst, 'one colour').toBeLessThanOrEqual(limit);
      expect((await checker.missing(3)).worst, 'a change that is not shown').toBeGreaterThan(limit);
      for (let seed = 1; seed <= changes; seed++) {
        const { kind, settled } = await checker.change(seed, 15_000);
        const place = `change ${seed}, ${kind}, at ${settled.x},${settled.y}`;
        expect(settled.worst, `luma off after ${place}`).toBeLessThanOrEqual(limit);
      }
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await screen?.stop();
      await w.stop();
    }
  }, 600_000); // a busy machine takes its time over every change
});
