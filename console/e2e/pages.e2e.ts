/** Every page, looked at: light, dark, on a phone, by axe and by keyboard alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { seriousFindings } from './harness/axe.ts';
import { newContext } from './harness/browser.ts';
import { addComputer, card, closeDialog, live, loginLabel, owner, showToolbar } from './harness/pages.ts';
import { Client } from './harness/client.ts';
import { fillOrganization } from './harness/organization.ts';
import { until } from './harness/proc.ts';
import { shot } from './harness/shots.ts';
import { World } from './harness/world.ts';

const looks = {
  light: { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  dark: { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
} as const;

/** Opens the menu of presets and caps. */
async function picture(page: Page): Promise<void> {
  await showToolbar(page);
  const last = await page.getByTestId('hide-toolbar').boundingBox();
  expect((last?.x ?? Infinity) + (last?.width ?? 0), 'the toolbar is cut off').toBeLessThanOrEqual(
    page.viewportSize()?.width ?? 0,
  );
  await page.getByTestId('picture').click();
  await page.getByRole('menuitemradio', { name: 'Sharp' }).waitFor();
}

/** Opens the overlay and waits for figures of every stage. */
async function statistics(page: Page): Promise<void> {
  await showToolbar(page);
  await page.getByTestId('toggle-statistics').click();
  await until('the age of the picture', async () => {
    await page.keyboard.press('a'); // moves the picture
    return /about/.test(await page.getByTestId('stat-age').innerText());
  });
}

/** Leaves the viewer, and opens what its pictures took in the journal by keyboard. */
async function delays(page: Page): Promise<void> {
  await page.goto(`${new URL(page.url()).origin}/journal`);
  const details = page.getByTestId('session').first().getByTestId('delays');
  await details.locator('summary').focus();
  await page.keyboard.press('Enter');
  await details.getByText('Encoding').waitFor();
}

/** Opens the API's page, and what is asked and answered by one operation. */
async function docs(page: Page, relay: string): Promise<void> {
  await page.goto(`${relay}/api/docs`);
  await page.getByRole('searchbox').fill('enrollment token make');
  const operation = page.getByTestId('operation').filter({ hasText: '/api/v1/enrollment-tokens' }).first();
  await operation.getByText('Refusals').click();
  await operation.getByText('Example').first().click();
}

/** The pages of an organization, and the buttons that open their dialogs. */
const organization: [string, string, string[]][] = [
  ['people', '/people', ['new-service', 'invite', 'member-details']],
  ['teams', '/people/teams', ['new-team', 'team-members']],
  ['roles', '/people/roles', ['new-role']],
  ['access', '/people/access', ['new-grant']],
  ['approvals', '/people/approvals', []],
  ['groups', '/people/groups', ['new-group']],
  ['api-keys', '/people/keys', ['new-key']],
  ['organization', '/organization', ['new-organization', 'set-quotas']],
  ['audit', '/audit', []],
  ['policies', '/policies', []],
  ['own-keys', '/account', ['new-own-key']],
];

type Stop = [string, () => Promise<unknown>];

/** Goes from stop to stop, and looks at each. */
async function lookAt(page: Page, look: string, stops: Stop[]): Promise<void> {
  for (const [name, go] of stops) {
    await go();
    await page.locator('h1, [role=dialog] h2').first().waitFor({ state: 'attached' });
    expect.soft(await seriousFindings(page), name).toEqual([]);
    // Not innerWidth: a phone makes that as wide as the page.
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    expect
      .soft(wide, `${name} is wider than the window`)
      .toBeLessThanOrEqual(page.viewportSize()?.width ?? 0);
    await shot(page, `${name}-${look}`);
  }
}

/** Opens a dialog by keyboard alone, in which the first thing to fill in can be reached. */
async function dialog(page: Page, button: string): Promise<void> {
  if (await page.getByRole('dialog').count()) await closeDialog(page);
  await page.getByTestId(button).first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').locator('input, select').first().waitFor();
  for (let i = 0; i < 3; i++) {
    if (await page.locator('dialog :is(input, select):focus').count()) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab does not reach the fields behind ${button}`);
}

/** Opens a setting of the organization's policy. */
async function setting(page: Page): Promise<void> {
  await page.getByLabel('What sessions may do').check();
  await page.getByLabel('Allowed networks').waitFor();
}

/** Goes from a member to the computers that they can reach. */
async function reached(page: Page): Promise<void> {
  await dialog(page, 'member-details');
  await page.getByTestId('reached-link').click();
  await page.getByTestId('reached-row').first().waitFor();
}

describe('the pages', () => {
  let w: World;
  let id: string | null;
  let invitation: string;
  beforeAll(async () => {
    w = await World.start();
    id = await card(w.page).getAttribute('data-id');
    const ada = await Client.signedIn(w.relay.url, owner.email, owner.password);
    invitation = await fillOrganization(ada, id ?? '');
  });
  afterAll(async () => w?.stop());

  it.each(Object.entries(looks))('look right and pass axe: %s', async (look, options) => {
    const { context, errors } = await newContext(w.browser, { ...options });
    const page = await context.newPage();
    await page.goto(w.relay.url + '/');
    await page.getByLabel(loginLabel).waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    await shot(page, `sign-in-${look}`);
    await page.getByLabel(loginLabel).fill(owner.email);
    await page.getByLabel('Password').fill(owner.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await card(page).waitFor();
    await page.waitForLoadState('networkidle');

    const stops: Stop[] = [
      ['computers', async () => undefined],
      ['add-computer', () => addComputer(page)],
      ['computer', () => page.goto(`${w.relay.url}/computers/${id}`)],
      ['computer-group', () => dialog(page, 'change-group')],
      ['journal', () => page.goto(`${w.relay.url}/journal`)],
      ['account', () => page.goto(`${w.relay.url}/account`)],
      ['recover', () => page.goto(`${w.relay.url}/recover#a-token`)],
      ['docs', () => docs(page, w.relay.url)],
      ['not-found', () => page.goto(`${w.relay.url}/nothing/here`)],
      ['viewer', () => page.goto(`${w.relay.url}/computers/${id}/view`).then(() => live(page))],
      ['picture', () => picture(page)],
      ['statistics', () => statistics(page)],
      ['statistics-aside', () => page.setViewportSize({ width: 740, height: 360 })],
      ['delays', () => page.setViewportSize(options.viewport).then(() => delays(page))],
    ];
    await lookAt(page, look, stops);
    expect(errors).toEqual([]);
    await context.close();
  });

  // Rule: each page of an organization, and each dialog on it, opened by keyboard, can be read in
  // light, in dark and on a phone, and by who does not see it.
  it.each(Object.entries(looks))('of an organization look right and pass axe: %s', async (look, options) => {
    const storageState = await w.page.context().storageState();
    const { context, errors } = await newContext(w.browser, { ...options, storageState });
    const page = await context.newPage();
    const open = (path: string) => page.goto(w.relay.url + path, { waitUntil: 'networkidle' });
    await lookAt(page, look, [
      ['computer-group', () => open(`/computers/${id}`).then(() => dialog(page, 'change-group'))],
      ...organization.flatMap(([name, path, buttons]): Stop[] => [
        [name, () => open(path)],
        ...buttons.map((button): Stop => [button, () => dialog(page, button)]),
      ]),
      ['member-computers', () => open('/people').then(() => reached(page))],
      ['policies-set', () => open('/policies').then(() => setting(page))],
      ['join-again', () => open(`/join#${invitation}`)],
      ['switcher', () => open('/').then(() => page.getByTestId('account-menu').click())],
    ]);
    await context.clearCookies();
    await lookAt(page, look, [
      ['join', () => page.goto('about:blank').then(() => open(`/join#${invitation}`))],
      ['sign-up-closed', () => open('/sign-up')],
    ]);
    expect(errors).toEqual([]);
    await context.close();
  });

  it('can be used with the keyboard alone', async () => {
    const { context } = await newContext(w.browser);
    const page = await context.newPage();
    await page.goto(w.relay.url + '/');
    await page.getByLabel(loginLabel).waitFor();
    const focused = (): Promise<string> =>
      page.evaluate(() => {
        const e = document.activeElement;
        return `${e?.getAttribute('aria-label') ?? ''} ${e?.textContent ?? ''} ${e?.id ?? ''}`;
      });
    const tabTo = async (what: RegExp): Promise<void> => {
      await until(
        `Tab to reach ${what}`,
        async () => {
          if (what.test(await focused())) return true;
          await page.keyboard.press('Tab');
          return what.test(await focused());
        },
        10_000,
      );
    };
    await page.getByLabel(loginLabel).focus();
    await page.keyboard.type(owner.email);
    await page.keyboard.press('Tab');
    await page.keyboard.type(owner.password);
    await page.keyboard.press('Enter');
    await card(page).waitFor();
    await tabTo(/^Connect to/);
    const opened = context.waitForEvent('page');
    await page.keyboard.press('Enter');
    const view = await opened;
    await live(view);
    await context.close();
  });

  it("ask who comes by a screen's address to sign in, and then show the screen", async () => {
    const { context } = await newContext(w.browser);
    const page = await context.newPage();
    const path = await card(w.page)
      .getByRole('link', { name: /^Connect to/ })
      .getAttribute('href');
    await page.goto(w.relay.url + path);
    await page.getByLabel(loginLabel).fill(owner.email);
    await shot(page, 'sign-in-first');
    await page.getByLabel('Password').fill(owner.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await live(page);
    expect(new URL(page.url()).pathname).toBe(path);
    await context.close();
  });

  it.each(['light', 'dark', 'phone'] as const)(
    'say so when they cannot be loaded, and leave no session behind: %s',
    async (look) => {
      const storageState = await w.page.context().storageState();
      const { context } = await newContext(w.browser, { ...looks[look], storageState });
      const page = await context.newPage();
      await page.route('**/assets/app-*.js', (route) => route.abort());
      await page.goto(`${w.relay.url}/computers/${id}/view`);
      await page.getByRole('heading', { name: 'The relay does not answer' }).waitFor();
      await page.locator('video').waitFor({ state: 'detached' });
      expect(await seriousFindings(page)).toEqual([]);
      await shot(page, `unloaded-${look}`);
      await page.unroute('**/assets/app-*.js');
      await page.getByRole('link', { name: 'Try again' }).click();
      await live(page);
      await context.close();
    },
  );

  it('refuse a wrong password without saying what was wrong', async () => {
    const { context } = await newContext(w.browser);
    const page = await context.newPage();
    for (const login of [owner.email, 'nobody@example.org']) {
      await page.goto(w.relay.url + '/');
      await page.getByLabel(loginLabel).fill(login);
      await page.getByLabel('Password').fill('not the password');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('This login or the password is wrong.').waitFor();
    }
    await context.close();
  });
});
