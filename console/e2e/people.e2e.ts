/** How people come into organizations: by mail, by each of their names, and from one to another. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContext, Page } from 'playwright-core';
import { newContext } from './harness/browser.ts';
import { Client, type Member } from './harness/client.ts';
import { card, owner, signIn } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { Agent } from './harness/programs.ts';
import { Mailpit } from './harness/services.ts';
import { shot } from './harness/shots.ts';
import { World } from './harness/world.ts';

const password = 'a password of somebody';

describe('people', () => {
  let mailpit: Mailpit;
  let w: World;
  let ada: Client;
  /** Ada, who works in the other organization. */
  let elsewhere: Client;
  let acmeAgent: Agent;
  /** Is in both organizations. */
  let grace: Member;
  const open: BrowserContext[] = [];
  const errors: string[][] = [];

  /** A browser in which nobody is signed in. */
  async function fresh(): Promise<Page> {
    const made = await newContext(w.browser);
    open.push(made.context);
    errors.push(made.errors);
    return made.context.newPage();
  }

  const computers = async (client: Client): Promise<{ id: string; name: string }[]> =>
    (await client.send<{ items: { id: string; name: string }[] }>('GET', '/computers')).items;
  const rename = async (client: Client, name: string): Promise<void> => {
    const { id } = await until('the computer', async () => (await computers(client))[0], 20_000);
    await client.send('PATCH', `/computers/${id}`, { name });
  };
  const identify = (client: Client, kind: string, text: string) =>
    client.send('POST', `/people/${grace.id}/identifiers`, { kind, text });

  beforeAll(async () => {
    mailpit = await Mailpit.start();
    w = await World.start({ relay: { args: mailpit.relayArgs }, display: false });
    ada = await Client.signedIn(w.relay.url, owner.email, owner.password);
    await ada.send('PATCH', '/organization', { name: 'Oriel Works', code: 'works' });
    await rename(ada, 'Lathe');
    grace = await ada.member(
      { name: 'Grace Hopper', email: 'grace@example.org', role: 'admin', password },
      (email) => mailpit.link(email),
    );
    await identify(ada, 'user_name', 'grace.hopper');
    await identify(ada, 'number', '123.456.789-09');

    elsewhere = await Client.signedIn(w.relay.url, owner.email, owner.password);
    const acme = await elsewhere.send('POST', '/organizations', { name: 'Acme Tools', code: 'acme' });
    await elsewhere.send('POST', '/me/organization', { id: acme.id });
    const { token } = await elsewhere.send<{ token: string }>('POST', '/enrollment-tokens', {
      allow_http: true,
    });
    acmeAgent = new Agent({ relays: [w.relay.url], token });
    await rename(elsewhere, 'Anvil');
    const again = { email: grace.email, role: 'admin' };
    await elsewhere.send('POST', '/member-invitations', again);
    const link = await mailpit.link(grace.email, 2);
    await grace.client.send('POST', '/me/organizations', { token: new URL(link).hash.slice(1) });
  });
  afterAll(async () => {
    for (const context of open) await context.close();
    await acmeAgent?.stop();
    await w?.stop();
    await mailpit?.stop();
    expect(errors.flat()).toEqual([]);
  });

  /** Signs in in a browser of its own, and gives the list of computers. */
  async function enter(login: string): Promise<Page> {
    const page = await fresh();
    await page.goto(w.relay.url);
    await signIn(page, login, password);
    await card(page).waitFor();
    return page;
  }

  // Rule: an invitation arrives as a mail, and whoever opens its link in a browser that knows
  // nobody makes a password there and is in, with the role that the admin gave.
  it('are invited by mail, and come in with the role that they were given', async () => {
    const email = 'alan@example.org';
    await w.page.goto(`${w.relay.url}/people`);
    await w.page.getByTestId('invite').click();
    const dialog = w.page.getByRole('dialog');
    await dialog.getByLabel('E-mail').fill(email);
    await dialog.getByLabel('Name').fill('Alan Turing');
    await dialog.getByTestId('role').selectOption('viewer');
    await dialog.getByRole('button', { name: 'Invite' }).click();
    await dialog.getByText(`on its way to ${email}`).waitFor();
    await dialog.getByText('Close', { exact: true }).last().click();

    const mail = await mailpit.mail(email);
    expect(mail.Subject).toBe(`${owner.name} invites you to Oriel Works`);
    const link = await mailpit.link(email);
    expect(mail.HTML).toContain(link);

    const page = await fresh();
    await page.goto(link);
    await page.getByText(`${owner.name} invites you to Oriel Works.`).waitFor();
    expect(await page.getByLabel('Your name').inputValue()).toBe('Alan Turing');
    expect(page.url(), 'the token in the address bar').not.toContain('#');
    await shot(page, 'join-by-mail');
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Join' }).click();
    await card(page, 'Lathe').waitFor();
    expect(await page.getByRole('link', { name: 'People' }).count()).toBe(0);

    await w.page.reload();
    const row = w.page.getByTestId('person').filter({ hasText: email });
    await row.getByText('Viewer').waitFor();
    await expect.poll(() => w.page.getByTestId('invitation').count()).toBe(0);
    const again = await fresh();
    await again.goto(link);
    await again.getByTestId('problem').waitFor();
  });

  // Rule: on a relay that was opened for it, and on no other, a stranger signs up by the link in a
  // mail and owns an organization of their own, which has nothing of the others.
  it('sign up by a link in a mail, once the relay is open for it', async () => {
    const email = 'zoe@example.net';
    const page = await fresh();
    await page.goto(`${w.relay.url}/sign-up`);
    await page.getByText('Nobody can sign up here now').waitFor();

    await w.page.goto(`${w.relay.url}/organization`);
    const settings = w.page.getByTestId('relay-settings');
    await settings.getByTestId('relay-sign-up').check();
    await settings.getByRole('button', { name: 'Save' }).click();
    await w.page.getByText('Saved').waitFor();

    await page.goto(w.relay.url);
    await page.getByRole('link', { name: 'Create an account' }).click();
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Name of your organization').fill('Zoe Repairs');
    await shot(page, 'sign-up');
    await page.getByRole('button', { name: 'Send the link' }).click();
    await page.getByText(`on its way to ${email}`).waitFor();

    const followed = await fresh();
    await followed.goto(await mailpit.link(email));
    await followed.getByText('You become the owner of Zoe Repairs.').waitFor();
    await followed.getByLabel('Your name').fill('Zoe');
    await followed.getByLabel('Password').fill(password);
    await followed.getByRole('button', { name: 'Create account' }).click();
    await followed.getByRole('button', { name: 'Add your first computer' }).first().waitFor();
    expect(await card(followed).count()).toBe(0);
    await followed.goto(`${w.relay.url}/people`);
    const people = followed.getByTestId('person');
    await people.filter({ hasText: 'Owner' }).waitFor();
    expect(await people.count()).toBe(1);
  });

  // Rule: one field takes whatever people call themselves, as they write it.
  it.each([
    ['an e-mail address', 'Grace@Example.org', /^(Anvil|Lathe)$/],
    ['a user name', 'Grace.Hopper', /^Lathe$/],
    ['a number with its dots', '123.456.789-09', /^Lathe$/],
    ['a number without', '12345678909', /^Lathe$/],
    ['a user name in an organization', 'grace.hopper:works', /^Lathe$/],
    ['an e-mail address in an organization', 'grace@example.org:acme', /^Anvil$/],
  ])('sign in by %s', async (_, login, sees) => {
    const page = await enter(login);
    expect(await card(page).locator('h2').innerText()).toMatch(sees);
    await page.getByTestId('account-menu').getByText(grace.name).waitFor();
    await page.context().close();
  });

  // Rule: whom a name and a password let into several organizations is asked which one they mean.
  it('are asked which organization they mean, where a name is theirs in several', async () => {
    await identify(elsewhere, 'number', '12345678909');
    const page = await fresh();
    await page.goto(w.relay.url);
    await signIn(page, '123.456.789-09', password);
    await page.getByText('Choose one').waitFor();
    const choice = page.getByTestId('which-organization');
    expect((await choice.locator('option').allInnerTexts()).sort()).toEqual(['Acme Tools', 'Oriel Works']);
    await shot(page, 'which-organization');
    await choice.selectOption('acme');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await card(page, 'Anvil').waitFor();
    expect(await card(page).count()).toBe(1);
  });

  // Rule: who is in two organizations goes from one to the other, and each shows its own only.
  it('go from one of their organizations to the other, and nothing goes along', async () => {
    const page = await enter('grace.hopper:works');
    const there = async (name: string, people: string[]): Promise<void> => {
      await card(page, name).waitFor();
      expect(await card(page).locator('h2').allInnerTexts()).toEqual([name]);
      await page.getByRole('link', { name: 'People' }).click();
      const row = page.getByTestId('member-details');
      await expect.poll(async () => (await row.allInnerTexts()).sort()).toEqual(people);
      await page.goto(w.relay.url);
    };
    const change = async (code: string): Promise<void> => {
      await page.getByTestId('account-menu').click();
      await page.locator(`[data-testid=organization][data-code=${code}]`).click();
    };
    await there('Lathe', [owner.name, 'Alan Turing', grace.name]);
    await change('acme');
    await there('Anvil', [owner.name, grace.name]);
    const [lathe] = await computers(ada);
    await page.goto(`${w.relay.url}/computers/${lathe?.id}`);
    await page.getByText('This computer is not in your list').waitFor();
    await change('works');
    await there('Lathe', [owner.name, 'Alan Turing', grace.name]);
  });
});
