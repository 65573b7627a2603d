/** Screenshots that a person looks at; those in `kept` are shown in the README. */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';

const out = fileURLToPath(new URL('../out/', import.meta.url));

export async function shot(page: Page, name: string): Promise<void> {
  mkdirSync(out, { recursive: true });
  await page.screenshot({ path: `${out}${name}.png`, animations: 'disabled' });
}
