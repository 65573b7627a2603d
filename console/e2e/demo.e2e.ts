/** `make run`, as somebody who tries Oriel for the first time. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { newContext, pagePoint, startBrowser, videoPixels } from './harness/browser.ts';
import { card, connect, live, loginLabel } from './harness/pages.ts';
import type { Pixels } from './harness/display.ts';
import { freePort, tempDir } from './harness/programs.ts';
import { Proc, until } from './harness/proc.ts';
import { compare } from './harness/pixels.ts';
import { shot } from './harness/shots.ts';

/** Where the demo puts its terminal, in pixels of its screen. */
const terminal = { x: 30, y: 430, width: 540, height: 330 };

type Box = typeof terminal;

function crop(p: Pixels | null, box: Box): Pixels {
  if (!p) throw new Error('no picture');
  const data = new Uint8Array(box.width * box.height * 3);
  for (let y = 0; y < box.height; y++) {
    const from = ((box.y + y) * p.width + box.x) * 3;
    data.set(p.data.subarray(from, from + box.width * 3), y * box.width * 3);
  }
  return { width: box.width, height: box.height, data };
}

async function whiteIn(view: Page, box: Box): Promise<boolean> {
  const p = crop(await videoPixels(view), box);
  let white = 0;
  for (let i = 0; i < p.data.length; i += 3) if ((p.data[i] ?? 0) > 220) white++;
  return white / (box.width * box.height) > 0.4;
}

it('make run shows an organization, and a computer that can be watched and typed on', async () => {
  const script = fileURLToPath(new URL('../../.ci/try.mjs', import.meta.url));
  const port = await freePort();
  const demo = Proc.start('try', process.execPath, [script], {
    env: { ORIEL_DATA: tempDir('demo'), ORIEL_PORT: String(port) },
  });
  const browser = await startBrowser();
  try {
    const [, password = ''] = await demo.line(/with the password +(\S+)/, 60_000);
    await demo.line(/Ctrl-C stops it all/, 60_000);
    const { context, errors } = await newContext(browser);
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.getByLabel(loginLabel).fill('ada@example.com');
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    for (const name of ['Front desk', 'Lathe']) {
      await card(page, name).getByText('Online').waitFor();
      await card(page, name).locator('img').first().waitFor({ timeout: 20_000 });
    }
    await shot(page, 'computers');

    const view = await connect(context, page, 'Front desk');
    await live(view);
    // Both windows are there: the terminal on the left, the page on the right.
    await until(
      'the page to scroll',
      () => whiteIn(view, { x: 640, y: 40, width: 600, height: 700 }),
      20_000,
    );
    await until('the terminal', () => whiteIn(view, terminal));
    const click = await pagePoint(view, terminal.x + 100, terminal.y + terminal.height - 60);
    await view.mouse.click(click.x, click.y);
    const before = crop(await videoPixels(view), terminal);
    await view.keyboard.type('clear; ls -l --color /usr', { delay: 20 });
    await view.keyboard.press('Enter');
    await until(
      'the terminal to answer',
      async () => compare(crop(await videoPixels(view), terminal), before).off > 0.02,
    );
    await view.getByRole('button', { name: 'Statistics' }).click();
    await until('the statistics', async () =>
      /fps|AV1|VP9/.test(await view.getByTestId('statistics').innerText()),
    );
    await shot(view, 'viewer', true);
    expect(errors).toEqual([]);
  } catch (e) {
    throw new Error(`${String(e)}\n${demo.text()}`, { cause: e });
  } finally {
    await browser.close();
    demo.kill('SIGINT');
    await demo.exit();
  }
  expect(demo.code).toBe(0);
});
