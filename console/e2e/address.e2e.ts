/** A console that is opened by another address than the relay's own. */
import { expect, it } from 'vitest';
import { newContext, startBrowser } from './harness/browser.ts';
import { fillOwner, loginLabel, owner } from './harness/pages.ts';
import { Relay } from './harness/programs.ts';
import { shot } from './harness/shots.ts';

// Rule: a wrong address is explained: the right password never leads back to the sign-in page in silence.
it('says which address keeps the sign-in', async () => {
  const relay = await Relay.start({
    publicUrl: 'https://oriel.test',
    args: ['--trusted-proxies', '127.0.0.9/32'],
  });
  // Browsers keep cookies for https at a loopback address, whatever the scheme, but at no other.
  const browser = await startBrowser(['--host-resolver-rules=MAP oriel.test 127.0.0.1']);
  try {
    const { context } = await newContext(browser);
    const page = await context.newPage();
    const link = new URL(await relay.ownerLink());
    const opened = `http://oriel.test:${relay.port}`;

    await page.goto(opened + link.pathname + link.hash);
    await fillOwner(page);
    const problem = page.getByTestId('problem');
    await problem.waitFor();
    expect(await problem.innerText()).toContain('https://oriel.test');

    await page.goto(`${opened}/sign-in`);
    await page.getByLabel(loginLabel).fill(owner.email);
    await page.getByLabel('Password').fill(owner.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await problem.waitFor();
    expect(await problem.innerText()).toContain('https://oriel.test');
    await shot(page, 'wrong-address');

    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This login or the password is wrong.').waitFor();
  } finally {
    await browser.close();
    await relay.stop();
  }
});
