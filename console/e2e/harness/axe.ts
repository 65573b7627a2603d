/** axe, which finds what those cannot use who see, hear or move otherwise. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

type Finding = { id: string; impact: string | null; nodes: { html: string }[] };

/** Text that still fades in has another contrast than when it is there to stay. */
async function calm(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const passing = (a: Animation) => a.effect?.getComputedTiming().endTime !== Infinity;
    let running: Animation[];
    while ((running = document.getAnimations().filter((a) => passing(a) && a.playState === 'running')).length)
      await Promise.allSettled(running.map((a) => a.finished));
  });
}

/** Findings of axe on the page that are serious or worse. */
export async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  await calm(page);
  const found = await page.evaluate(async () => {
    const axe = (window as unknown as { axe: { run(): Promise<{ violations: Finding[] }> } }).axe;
    return (await axe.run()).violations;
  });
  return found
    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
    .map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`);
}
