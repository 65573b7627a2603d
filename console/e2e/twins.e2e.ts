/** Two machines with one copied identity, and one machine with two. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { addComputer, card, closeDialog, connect, live } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { Agent, tempDir } from './harness/programs.ts';
import { shot } from './harness/shots.ts';
import { World } from './harness/world.ts';

/** The page in light, dark and on a phone. */
async function shots(page: Page, name: string): Promise<void> {
  for (const [look, colorScheme, width] of [
    ['light', 'light', 1440],
    ['dark', 'dark', 1440],
    ['phone', 'light', 390],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 844 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(wide, `${name} is wider than the window`).toBeLessThanOrEqual(0);
    await shot(page, `${name}-${look}`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1440, height: 900 });
}

describe('one identity in two machines', () => {
  // Rule: a mark, a sentence, no sessions, until somebody says that they are two; then
  // the second gets an identity of its own by itself, and the first goes on.
  it('is said, and ends with two computers', async () => {
    const w = await World.start();
    let second: Agent | undefined;
    try {
      const data = tempDir('copied');
      cpSync(w.agent.data, data, { recursive: true });
      rmSync(join(data, 'lock'), { force: true });
      second = new Agent({ relays: [w.relay.url], data, display: w.display.name });
      await w.page.getByTestId('mark').getByText('Two machines use this identity').waitFor();
      await shots(w.page, 'twins-list');
      const refused = await connect(w.context, w.page);
      await refused.getByText("Two machines use this computer's identity").waitFor();
      await shot(refused, 'twins-refused');
      await refused.close();

      await w.page.getByTestId('mark').click();
      await w.page.getByTestId('twins').waitFor();
      await shots(w.page, 'twins-computer');
      await w.page.getByTestId('split').last().click();
      await until(
        'the second to enroll',
        async () => (await w.page.getByTestId('twins').count()) === 0,
        60_000,
        () => second!.log(),
      );
      await w.page.getByRole('link', { name: 'Computers' }).first().click();
      await until('two computers', async () => (await card(w.page).count()) === 2);
      expect(await w.page.getByTestId('mark').count()).toBe(0);
      const opened = w.context.waitForEvent('page');
      await card(w.page)
        .last()
        .getByRole('link', { name: /^Connect to/ })
        .click();
      await live(await opened);
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}\nsecond:\n${second?.log()}`, { cause: e });
    } finally {
      await second?.stop();
      await w.stop();
    }
  });

  // Rule: a machine that is enrolled twice is marked, with a way to the other one.
  it('or two in one: enrolled twice', async () => {
    const w = await World.start();
    let second: Agent | undefined;
    try {
      second = new Agent({
        relays: [w.relay.url],
        token: await addComputer(w.page),
        display: w.display.name,
      });
      await until('two computers', async () => (await card(w.page).count()) === 2);
      await closeDialog(w.page);
      await w.page.getByTestId('mark').getByText('Enrolled twice').click();
      await w.page.getByTestId('same-machine').waitFor();
      await shots(w.page, 'same-machine');
      const here = w.page.url();
      await w.page.getByRole('link', { name: 'Open the other one' }).click();
      await until('the other one', async () => w.page.url() !== here);
    } finally {
      await second?.stop();
      await w.stop();
    }
  });
});
