/** A policy that is set while a session runs. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { videoShows } from './harness/browser.ts';
import { connect, live } from './harness/pages.ts';
import { blue, cell, idle } from './harness/target.ts';
import { World } from './harness/world.ts';

let w: World;
beforeAll(async () => {
  w = await World.start();
});
afterAll(async () => {
  await w?.stop();
  expect(w?.errors ?? []).toEqual([]);
});

// Rule: a policy counts at once for a session that runs, is said in it, and is lifted as it came.
it('takes control from a running session when computers may be watched only, and gives it back', async () => {
  const view = await connect(w.context, w.page);
  await live(view);
  await view.keyboard.press('a');
  const a = cell(38);
  await videoShows(view, a.x, a.y, blue);

  await w.page.goto(`${w.relay.url}/policies`);
  const scopes = w.page.locator('[data-testid="setting"][data-name="scopes"]');
  await scopes.getByLabel('What sessions may do').check();
  await w.page.getByRole('button', { name: 'Save' }).click();
  await view.getByTestId('denied').getByText('be watched only').waitFor({ timeout: 2_000 });
  const b = cell(56);
  await view.keyboard.press('b');
  await videoShows(view, b.x, b.y, idle);

  // The inherited policy is said where the computer's own is.
  await w.page.getByTestId('policy-place').selectOption({ index: 1 });
  await expect
    .poll(() => scopes.getByTestId('inherited').innerText())
    .toBe('Inherited from The whole organization: See the screen');

  await w.page.getByTestId('policy-place').selectOption({ index: 0 });
  await scopes.getByLabel('What sessions may do').uncheck();
  await w.page.getByRole('button', { name: 'Save' }).click();
  await view.getByTestId('view-only').waitFor();
  await expect
    .poll(
      async () => {
        await view.keyboard.press('b');
        return videoShows(view, b.x, b.y, blue).then(
          () => true,
          () => false,
        );
      },
      { timeout: 10_000 },
    )
    .toBe(true);
});
