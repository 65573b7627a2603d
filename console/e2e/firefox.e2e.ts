/** The first session again, in Firefox: what another engine could do otherwise. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'puppeteer-core';
import { binary } from './harness/binaries.ts';
import { pagePoint, videoPixels, videoShows } from './harness/browser.ts';
import { Client } from './harness/client.ts';
import { Display } from './harness/display.ts';
import { fill, Firefox, named, says } from './harness/firefox.ts';
import { loginLabel, owner } from './harness/pages.ts';
import { compare } from './harness/pixels.ts';
import { until } from './harness/proc.ts';
import { Agent, Relay } from './harness/programs.ts';
import { background, bar, blue, cell, green, idle, magenta, orange, red, Target } from './harness/target.ts';

const state = (view: Page): Promise<string | null> =>
  view.evaluate(() => document.querySelector('[data-testid=view]')?.getAttribute('data-state') ?? null);

async function fits(page: Page): Promise<void> {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wide, `${page.url()} is wider than the window`).toBeLessThanOrEqual(0);
}

/** What Firefox says of a stranger's socket, which is refused, and of one that a page leaves. */
const ofSockets = /\/live\/v1/;

/** Logins of the owner beside her e-mail address. */
const names = [
  ['user_name', 'ada.operator'],
  ['number', '123.456.789-09'],
] as const;

describe('Firefox', () => {
  let relay: Relay;
  let display: Display;
  let target: Target;
  let agent: Agent;
  let firefox: Firefox;
  let view: Page;

  beforeAll(async () => {
    const starting = Firefox.start(); // takes longest
    relay = await Relay.start();
    display = await Display.start();
    target = await Target.start(display);
    const ada = new Client(relay.url);
    await ada.send('POST', '/owner', { ...owner, token: new URL(await relay.ownerLink()).hash.slice(1) });
    const { id } = await ada.send('GET', '/me');
    for (const [kind, text] of names) await ada.send('POST', `/people/${id}/identifiers`, { kind, text });
    const token = execFileSync(binary('oriel-relay'), ['token', 'create', '--uses', '1'], {
      env: { ...process.env, ORIEL_DATA: relay.data, ORIEL_PUBLIC_URL: relay.url },
      encoding: 'utf8',
    }).trim();
    agent = new Agent({ relays: [relay.url], token, display: display.name });
    firefox = await starting;
  });

  afterAll(async () => {
    await firefox?.stop();
    await agent?.stop();
    await target?.stop();
    await display?.stop();
    await relay?.stop();
  });

  // Rule: whoever comes with Firefox signs in by each of their names and sees the pages, none
  // wider than the window.
  it('signs in and shows the pages', async () => {
    const { page } = firefox;
    await page.goto(relay.url);
    for (const login of ['12345678909', 'Ada.Operator', owner.email]) {
      await named(page, loginLabel);
      await fits(page);
      await fill(page, loginLabel, login);
      await fill(page, 'Password', owner.password);
      await (await named(page, 'Sign in', 'button')).click();
      await says(page, 'Online');
      await fits(page);
      if (login === owner.email) break;
      await (await page.waitForSelector('[data-testid=account-menu]'))?.click();
      await (await page.waitForSelector('[data-testid=sign-out]'))?.click();
    }
    for (const [link, address] of [
      ['[data-testid=computer] h2 a', /\/computers\/[^/]+$/],
      ['nav [href="/journal"]', /\/journal$/],
      ['nav [href="/"]', /\/$/],
    ] as const) {
      await (await page.waitForSelector(link))?.click();
      await until(`${address}`, () => address.test(page.url()));
      await page.waitForNetworkIdle();
      await fits(page);
    }
    expect(firefox.errors.filter((e) => !ofSockets.test(e))).toEqual([]);
  });

  // Rule: in Firefox, too, a session shows the screen as it is and does what is done in it.
  it('shows the screen, and a key, clicks and notches of the wheel on it', async () => {
    await (await firefox.page.waitForSelector('[data-testid=computer] a.open'))?.click();
    view = await firefox.tab(/\/view$/);
    await until('a picture', async () => (await state(view)) === 'live', 30_000);
    await until(
      'the decoded video to be the screen',
      async () => {
        const video = await videoPixels(view);
        const c = video && compare(video, display.pixels());
        return c && c.psnr > 38 && c.off < 0.001;
      },
      20_000,
    );
    await fits(view);

    const shift = cell(50);
    await videoShows(view, shift.x, shift.y, idle);
    await view.keyboard.down('ShiftLeft');
    await videoShows(view, shift.x, shift.y, green);
    await view.keyboard.up('ShiftLeft');
    await videoShows(view, shift.x, shift.y, blue);

    const left = await pagePoint(view, 700, 600);
    await view.mouse.click(left.x, left.y);
    await videoShows(view, 712, 588, red);
    const right = await pagePoint(view, 900, 640);
    await view.mouse.click(right.x, right.y, { button: 'right' });
    await videoShows(view, 912, 628, magenta);
    const clicked = await target.saw('the click', (e) => e.kind === 'button' && e.code === 1 && e.down);
    expect(Math.abs(clicked.x - 700)).toBeLessThanOrEqual(1);
    expect(Math.abs(clicked.y - 600)).toBeLessThanOrEqual(1);

    const turned = (code: number) => target.events().filter((e) => e.code === code && e.down).length;
    await firefox.turnWheel(view, left.x, left.y, 3);
    await videoShows(view, bar.x + 3 * bar.step - 4, bar.y, orange);
    await firefox.turnWheel(view, left.x, left.y, -1);
    await videoShows(view, bar.x + 3 * bar.step - 4, bar.y, background);
    await videoShows(view, bar.x + 2 * bar.step - 4, bar.y, orange);
    expect([turned(5), turned(4)], 'notches down and up').toEqual([3, 1]);
  });

  // Rule: in Firefox, too, a session whose computer does not answer any more says so, and is back by itself.
  it('says that a killed agent does not answer, and is back by itself', async () => {
    await agent.crash();
    await until('the viewer to notice', async () => (await state(view)) === 'away', 20_000);
    await says(view, 'does not answer; waiting for it');
    await agent.restart();
    await until('a picture again', async () => (await state(view)) === 'live', 60_000);
    const q = cell(24);
    await view.keyboard.press('KeyQ');
    await videoShows(view, q.x, q.y, blue);
    expect(firefox.errors.filter((e) => !ofSockets.test(e))).toEqual([]);
  });
});
