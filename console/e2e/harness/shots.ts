/**
 * Screenshots that a person looks at, in e2e/out. With KEEP_SHOTS=1 the one that
 * the README shows is put into e2e/shots as well, in 256 colours: a third of the bytes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';

const folder = (name: string): string => fileURLToPath(new URL(`../${name}/`, import.meta.url));

export async function shot(page: Page, name: string, readme = false): Promise<void> {
  mkdirSync(folder('out'), { recursive: true });
  const path = `${folder('out')}${name}.png`;
  await page.screenshot({ path, animations: 'disabled', fullPage: !readme });
  if (readme && process.env['KEEP_SHOTS']) {
    mkdirSync(folder('shots'), { recursive: true });
    const fewer = ['-strip', '-dither', 'None', '-colors', '256', '-define', 'png:compression-level=9'];
    execFileSync('convert', [path, ...fewer, `png8:${folder('shots')}${name}.png`]);
  }
}
