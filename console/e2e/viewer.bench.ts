/** What a person at the viewer feels, in real Chromium over loopback. */
import { it } from 'vitest';
import { videoPixels } from './harness/browser.ts';
import { installProbe, quantile, results } from './harness/latency.ts';
import { card, connect, live } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { wire } from './harness/rtc.ts';
import { cell } from './harness/target.ts';
import { World } from './harness/world.ts';

const rounds = Number(process.env['ROUNDS'] ?? 3);
const presses = Number(process.env['PRESSES'] ?? 60);
const idleSeconds = Number(process.env['IDLE'] ?? 60);

function line(what: string, ...figures: string[]): void {
  process.stdout.write(`${what.padEnd(46)} ${figures.join('   ')}\n`);
}

const ms = (v: number): string => `${v.toFixed(1)} ms`;

it('prints what a person at the viewer feels', async () => {
  const w = await World.start({ display: { width: 1920, height: 1080 } });
  try {
    const firsts: number[] = [];
    const keys: number[] = [];
    for (let round = 0; round < rounds; round++) {
      // From the trusted click in the list to the first picture in the new tab.
      await w.page.bringToFront();
      await w.page.evaluate(() => {
        window.addEventListener(
          'click',
          (e) => ((window as unknown as { __at: number }).__at = performance.timeOrigin + e.timeStamp),
          { capture: true, once: true },
        );
      });
      await w.context.addInitScript(() => {
        const look = (): void => {
          const v = document.querySelector('video');
          if (v && v.readyState >= 2 && v.videoWidth > 16) {
            (window as unknown as { __first: number }).__first = performance.timeOrigin + performance.now();
          } else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      });
      const view = await connect(w.context, w.page);
      await live(view);
      const first = await until('a first picture', () =>
        view.evaluate(() => (window as unknown as { __first?: number }).__first ?? 0),
      );
      firsts.push(first - (await w.page.evaluate(() => (window as unknown as { __at: number }).__at)));

      const a = cell(38);
      await installProbe(view, a.x, a.y);
      for (let i = 0; i < presses; i++) {
        await view.keyboard.down('a');
        await until('the key to be seen', async () => !(await results(view)).pending, 5_000).catch(
          () => undefined,
        );
        await view.keyboard.up('a');
        await new Promise((r) => setTimeout(r, 150 + Math.random() * 150)); // spread over the frame
      }
      keys.push(...(await results(view)).results);

      if (round === rounds - 1) {
        // Let the picture settle, then count a minute in which nothing happens.
        let frames = -1;
        await until(
          'the picture to settle',
          async () => {
            const now = (await wire(view)).framesDecoded;
            const still = now === frames;
            frames = now;
            await new Promise((r) => setTimeout(r, 1_000));
            return still;
          },
          30_000,
        );
        const before = await wire(view);
        const cpu = w.agent.cpuSeconds();
        await new Promise((r) => setTimeout(r, idleSeconds * 1_000));
        const after = await wire(view);
        const bytes = after.received - before.received;
        line('idle, bytes to the viewer a second', `${(bytes / idleSeconds).toFixed(0)} B`);
        line('idle, pictures', `${after.framesDecoded - before.framesDecoded}`);
        line(
          'idle, agent CPU',
          `${((100 * (w.agent.cpuSeconds() - cpu)) / idleSeconds).toFixed(2)} % of a core`,
        );
      }
      await videoPixels(view);
      await view.close();
      await card(w.page).getByText('Online').waitFor();
    }
    line(
      `key to pixel, ${keys.length} presses`,
      `median ${ms(quantile(keys, 0.5))}`,
      `p95 ${ms(quantile(keys, 0.95))}`,
      `worst ${ms(Math.max(...keys))}`,
    );
    line(
      `click to first picture, ${firsts.length} times`,
      `median ${ms(quantile(firsts, 0.5))}`,
      `worst ${ms(Math.max(...firsts))}`,
    );
  } finally {
    await w.stop();
  }
});
