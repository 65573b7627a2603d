/**
 * Screenshots that a person looks at, in e2e/out. With KEEP_SHOTS=1 those that
 * the README shows are put into e2e/shots as well.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';

const folder = (name: string): string => fileURLToPath(new URL(`../${name}/`, import.meta.url));

export async function shot(page: Page, name: string, readme = false): Promise<void> {
  mkdirSync(folder('out'), { recursive: true });
  const path = `${folder('out')}${name}.png`;
  await page.screenshot({ path, animations: 'disabled' });
  if (readme && process.env['KEEP_SHOTS']) {
    mkdirSync(folder('shots'), { recursive: true });
    copyFileSync(path, `${folder('shots')}${name}.png`);
  }
}
