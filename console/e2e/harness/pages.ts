/** The console as a person uses it: by what is written on it. */
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { until } from './proc.ts';
import { videoPixels } from './browser.ts';

const addName = /^Add (computer|your first computer)$/;

export const owner = { name: 'Ada Operator', email: 'ada@example.org', password: 'a long enough password' };

/** What the field is called in which people say who they are at sign-in. */
export const loginLabel = 'E-mail, user name or number';

export async function makeOwner(page: Page, link: string): Promise<void> {
  await page.goto(link);
  await fillOwner(page);
  await page.getByRole('button', { name: addName }).first().waitFor();
}

/** Fills in and sends the form of the relay's first owner. */
export async function fillOwner(page: Page): Promise<void> {
  await page.getByLabel('Your name').fill(owner.name);
  await page.getByLabel('Organization').fill('Analytical Engines');
  await page.getByLabel('E-mail').fill(owner.email);
  await page.getByLabel('Password').fill(owner.password);
  await page.getByRole('button', { name: 'Create account' }).click();
}

/** Says who one is on the page for that, as a person does. */
export async function signIn(page: Page, login: string, password: string): Promise<void> {
  await page.getByLabel(loginLabel).fill(login);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Makes an enrollment token in the dialog and gives it; the dialog stays open. */
export async function addComputer(page: Page): Promise<string> {
  await page.getByRole('button', { name: addName }).first().click();
  const dialog = page.getByRole('dialog');
  const command = await until('the command line', async () =>
    (await dialog.innerText()).match(/oriel-[a-z2-7]{26}-[0-9a-f]{32}/),
  );
  return command[0];
}

export function card(page: Page, name?: string): Locator {
  const cards = page.getByTestId('computer');
  return name === undefined ? cards : cards.filter({ hasText: name });
}

export async function closeDialog(page: Page): Promise<void> {
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}

/** Clicks the card and gives the tab that opens. */
export async function connect(context: BrowserContext, page: Page, name?: string): Promise<Page> {
  const opened = context.waitForEvent('page');
  await card(page, name)
    .getByRole('link', { name: /^Connect to/ })
    .click();
  return opened;
}

/** Waits until the viewer shows a picture; a notice about a key of first use is closed. */
export async function live(view: Page, ms = 30_000): Promise<void> {
  await until(
    'a picture in the viewer',
    async () =>
      (await view.getByTestId('view').getAttribute('data-state')) === 'live' && (await videoPixels(view)),
    ms,
    () => `the page is ${view.url()}`,
  ).catch(async (e: unknown) => {
    throw new Error(`${String(e)}\n${await view.locator('body').innerText()}`);
  });
  const notice = view.getByTestId('first-key-done');
  if (await notice.count()) await notice.click();
}

export async function state(view: Page): Promise<string | null> {
  return view.getByTestId('view').getAttribute('data-state');
}

export async function disconnect(view: Page): Promise<void> {
  await showToolbar(view);
  await view.getByRole('button', { name: 'Disconnect' }).click();
}

export async function showToolbar(view: Page): Promise<void> {
  const show = view.getByRole('button', { name: 'Show toolbar' });
  if (await show.isVisible()) await show.click();
}
