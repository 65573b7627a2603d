/** A computer that answers with another key than the one this browser knows. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { binary } from './harness/binaries.ts';
import { newContext } from './harness/browser.ts';
import { card, connect, live, loginLabel, owner, state } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { shot } from './harness/shots.ts';
import { World } from './harness/world.ts';

describe('the key of a computer', () => {
  // Rule: the first use of a computer's key is shown to the operator, as the computer
  // prints it; once; and where the account remembers another one, the session stops.
  it('is shown at first use, and kept in the browser and with the account', async () => {
    const w = await World.start();
    try {
      const view = await connect(w.context, w.page);
      await view.getByTestId('first-key').waitFor();
      const shown = await view.getByTestId('key-text').innerText();
      expect(shown).toMatch(/^(\d{5} ){5}\d{5}$/);
      const doctor = execFileSync(binary('oriel-agent'), ['doctor', '--data', w.agent.data], {
        encoding: 'utf8',
      });
      expect(doctor).toContain(shown);
      for (const [look, width, height] of [
        ['desk', 1440, 900],
        ['phone', 390, 844],
      ] as const) {
        await view.setViewportSize({ width, height });
        await shot(view, `first-key-${look}`);
      }
      await view.getByTestId('first-key-done').click();
      await live(view);
      await view.close();

      const again = await connect(w.context, w.page);
      await live(again);
      expect(await again.getByTestId('first-key').count()).toBe(0);
      await again.close();

      // Another browser of the same person has not seen it; its account has.
      const other = await newContext(w.browser);
      const page = await other.context.newPage();
      await page.goto(w.relay.url + '/');
      await page.getByLabel(loginLabel).fill(owner.email);
      await page.getByLabel('Password').fill(owner.password);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await card(page).waitFor();
      const wrong = await page.evaluate(async () => {
        const { items } = (await (await fetch('/api/v1/me/keys')).json()) as {
          items: { computer_id: string; key: string }[];
        };
        const [known] = items;
        if (!known) return 'the account knows no key';
        const key = btoa(String.fromCharCode(...new Uint8Array(32).fill(9)));
        const answer = await fetch(`/api/v1/me/keys/${known.computer_id}`, {
          method: 'PUT',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ key, replaces: known.key }),
        });
        return answer.ok ? '' : await answer.text();
      });
      expect(wrong).toBe('');
      for (const [context, list] of [
        [other.context, page],
        [w.context, w.page],
      ] as const) {
        const stopped = await connect(context, list);
        await until('the warning', async () => (await state(stopped)) === 'changed');
        expect(await stopped.locator('body').innerText()).toContain('Your account remembers');
        await shot(stopped, 'key-changed-account');
        await stopped.close();
      }
      await other.context.close();
    } finally {
      await w.stop();
    }
  });

  it('is pinned by the viewer: another one makes it warn and stop', async () => {
    const w = await World.start();
    try {
      const view = await connect(w.context, w.page);
      await live(view);
      await view.close();

      // What the browser remembers becomes another machine's key, which is the
      // same as the machine answering with a key that the browser does not know.
      const changed = await w.page.evaluate(() => {
        for (const [name, value] of Object.entries(localStorage)) {
          const key = String(value).match(/[A-Za-z0-9+/_-]{43}=?|[0-9a-f]{64}/)?.[0];
          if (!key) continue;
          const first = key[0] === 'A' || key[0] === 'a' ? 'b' : 'a';
          localStorage.setItem(name, String(value).replace(key, first + key.slice(1)));
          return name;
        }
        return null;
      });
      expect(changed, 'a pinned key').not.toBeNull();

      const again = await connect(w.context, w.page);
      await until('the warning', async () => (await state(again)) === 'changed');
      expect(await again.locator('body').innerText()).toContain('has changed');
      expect(
        (await again.locator('video').count()) === 0 ||
          (await again.locator('video').evaluate((v) => (v as HTMLVideoElement).videoWidth)) === 0,
      ).toBe(true);
      await shot(again, 'key-changed');
      const before = w.target.events().length;
      await again.keyboard.press('z');
      // Nothing but a typed confirmation goes on.
      const name = await card(w.page).getByRole('heading').innerText();
      await again.getByText('Compare the keys').click();
      const trust = again.getByRole('button', { name: 'Trust the new key' });
      expect(await trust.isDisabled()).toBe(true);
      await again.getByTestId('trust-name').fill(name);
      await trust.click();
      await live(again);
      expect(w.target.events().slice(before)).toEqual([]);
      await again.close();

      const third = await connect(w.context, w.page);
      await live(third);
    } finally {
      await w.stop();
    }
  });

  it('is another one after the agent lost its data, and the computer is a new one', async () => {
    const w = await World.start();
    try {
      await w.agent.stop();
      await until('it to be offline', async () => /Offline/.test(await card(w.page).innerText()));
      rmSync(w.agent.data, { recursive: true });
      await w.agent.restart();
      // Its token is used up and its key is unknown: it is refused, and says why.
      await until(
        'a refusal that a person can act on',
        () => /token|enroll/i.test(w.agent.log()),
        10_000,
        () => w.agent.log(),
      );
      expect(await card(w.page).count()).toBe(1);
    } finally {
      await w.stop();
    }
  });

  // Rule: after DTLS the certificate of the connection is compared with the one that the
  // computer has signed, and no session comes of another.
  it('does not suffice: the connection has to have the certificate that it signed', async () => {
    const w = await World.start();
    try {
      await w.context.addInitScript(() => {
        const own = RTCDtlsTransport.prototype.getRemoteCertificates;
        const seen: number[] = [];
        Object.assign(globalThis, { seen });
        RTCDtlsTransport.prototype.getRemoteCertificates = function () {
          const chain = own.call(this);
          seen.push(...chain.map((der) => der.byteLength));
          return chain;
        };
      });
      const view = await connect(w.context, w.page);
      await live(view);
      const seen = await view.evaluate(() => (globalThis as unknown as { seen: number[] }).seen);
      expect(seen).toHaveLength(1); // one certificate, looked at once
      expect(seen[0]).toBeGreaterThan(100);
      await view.close();

      await w.context.addInitScript(() => {
        RTCDtlsTransport.prototype.getRemoteCertificates = () => [new Uint8Array(300).buffer];
      });
      const forged = await connect(w.context, w.page);
      await until('the warning', async () => (await state(forged)) === 'forged');
      await forged.close();
    } finally {
      await w.stop();
    }
  });
});
