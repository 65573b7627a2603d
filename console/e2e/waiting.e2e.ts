/** A computer that is newer than the back-up that its relay was restored from. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { binary } from './harness/binaries.ts';
import { addComputer, card, closeDialog, live } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { Agent, Relay, tempDir } from './harness/programs.ts';
import { shot } from './harness/shots.ts';
import { World } from './harness/world.ts';

describe('a restored back-up', () => {
  // Rule: an agent newer than the restored database waits, and is taken back with its
  // identity by one click; its key stays the same, so that nobody is warned.
  it('has the computers that it lost wait to be taken back', async () => {
    const w = await World.start();
    let newer: Agent | undefined;
    let restored: Relay | undefined;
    try {
      const file = join(tempDir('backup'), 'oriel.backup');
      execFileSync(binary('oriel-relay'), ['backup', file, '--data', w.relay.data]);
      newer = new Agent({ relays: [w.relay.url], token: await addComputer(w.page), display: w.display.name });
      await until('two computers', async () => (await card(w.page).count()) === 2);
      await closeDialog(w.page);
      const id = await card(w.page).last().getAttribute('data-id');
      const link = `${w.relay.url}/computers/${id}/view`;
      const view = await w.context.newPage();
      await view.goto(link);
      await live(view);
      await view.close();

      await w.relay.stop();
      const data = join(tempDir('restored'), 'data');
      execFileSync(binary('oriel-relay'), ['restore', file, '--data', data]);
      execFileSync('cp', [join(w.relay.data, 'sealing.key'), join(data, 'sealing.key')]);
      restored = await Relay.start({ port: w.relay.port, data });
      await w.page.reload();
      await w.page.getByTestId('waiting-computers').waitFor({ timeout: 60_000 });
      for (const [look, colorScheme, width] of [
        ['light', 'light', 1440],
        ['dark', 'dark', 1440],
        ['phone', 'light', 390],
      ] as const) {
        await w.page.emulateMedia({ colorScheme });
        await w.page.setViewportSize({ width, height: 844 });
        const wide = await w.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect(wide, `${look}: wider than the window`).toBeLessThanOrEqual(0);
        await shot(w.page, `waiting-${look}`);
      }
      await w.page.setViewportSize({ width: 1440, height: 900 });
      await w.page.getByTestId('take-back').click();
      await w.page.getByTestId('waiting-computers').waitFor({ state: 'detached' });
      await until(
        'it to be online',
        async () =>
          /Online/.test(await w.page.locator(`[data-testid=computer][data-id="${id}"]`).innerText()),
        60_000,
      );
      const again = await w.context.newPage();
      await again.goto(link);
      await live(again);
      expect(await again.getByTestId('first-key').count()).toBe(0);
    } catch (e) {
      const logs = `${w.logs()}\nnewer:\n${newer?.log()}\nrestored:\n${restored?.log()}`;
      throw new Error(`${String(e)}\n${logs}`, { cause: e });
    } finally {
      await newer?.stop();
      await restored?.stop();
      await w.stop();
    }
  });
});
