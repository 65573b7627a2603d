/** The first live session, from the owner's link to the journal. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pagePoint, videoPixels, videoShows } from './harness/browser.ts';
import { heard, move, say, watchChannels } from './harness/channel.ts';
import { card, connect, disconnect, live, owner } from './harness/pages.ts';
import { at, compare, near } from './harness/pixels.ts';
import { until } from './harness/proc.ts';
import { wire } from './harness/rtc.ts';
import { shot } from './harness/shots.ts';
import { blue, cell, green, idle, magenta, red } from './harness/target.ts';
import type { Page } from 'playwright-core';
import { World } from './harness/world.ts';
import { decodeImage } from './harness/image.ts';

describe('a live session', () => {
  let w: World;
  beforeAll(async () => {
    w = await World.start();
    await watchChannels(w.context);
  });
  afterAll(async () => {
    await w?.stop();
    expect(w?.errors ?? []).toEqual([]);
  });

  it('shows a preview in the list that is the screen', async () => {
    const image = card(w.page).locator('img[src*="preview"], img[src^="blob:"]').first();
    await image.waitFor({ timeout: 20_000 });
    const preview = await decodeImage(image);
    const screen = w.display.pixels();
    expect(preview.width).toBeLessThanOrEqual(640);
    // Points in the middle of large patches, where scaling changes nothing.
    for (const [x, y] of [
      [520, 100],
      [600, 100],
      [680, 100],
      [760, 100],
      [840, 100],
      [1000, 100],
      [200, 600],
    ] as const) {
      const there = at(
        preview,
        Math.round((x * preview.width) / screen.width),
        Math.round((y * preview.height) / screen.height),
      );
      expect(near(there, at(screen, x, y), 24), `at ${x},${y}: ${there} for ${at(screen, x, y)}`).toBe(true);
    }
  });

  it('shows the screen, takes keys and clicks, and is written into the journal', async () => {
    const view = await connect(w.context, w.page);
    await live(view);
    await until(
      'the decoded video to be the screen',
      async () => {
        const video = await videoPixels(view);
        const c = video && compare(video, w.display.pixels());
        return c && c.psnr > 38 && c.off < 0.001;
      },
      15_000,
    );
    await expect.poll(() => card(w.page).innerText(), { timeout: 5_000 }).toContain('In session');

    // A key: its cell is idle, then green while held, then blue. A modifier: while a busy machine
    // looks at the picture, the page cannot say every time that a letter is held.
    const shift = cell(50);
    await videoShows(view, shift.x, shift.y, idle);
    await view.keyboard.down('Shift');
    await videoShows(view, shift.x, shift.y, green);
    await view.keyboard.up('Shift');
    await videoShows(view, shift.x, shift.y, blue);

    // A click: at the right place, with the right button.
    const left = await pagePoint(view, 700, 600);
    await view.mouse.click(left.x, left.y);
    await videoShows(view, 712, 588, red);
    const right = await pagePoint(view, 900, 640);
    await view.mouse.click(right.x, right.y, { button: 'right' });
    await videoShows(view, 912, 628, magenta);
    const clicked = await w.target.saw('the click', (e) => e.kind === 'button' && e.code === 1 && e.down);
    expect(Math.abs(clicked.x - 700)).toBeLessThanOrEqual(1);
    expect(Math.abs(clicked.y - 600)).toBeLessThanOrEqual(1);

    expect((await wire(view)).codec).toBe('video/AV1');
    await shot(view, 'test-card');
    await disconnect(view);
    await until('the viewer to say so', async () =>
      (await view.locator('body').innerText()).includes('You disconnected'),
    );

    await w.page.goto(w.relay.url + '/journal');
    const row = w.page.getByTestId('session').first();
    await expect.poll(() => row.innerText()).toContain('Disconnected');
    const text = await row.innerText();
    expect(text).toContain(owner.name);
    expect(text).toContain('Direct');
    expect(text).toContain('AV1');
    expect(text).toContain('Control');
    const delays = row.getByTestId('delays');
    await delays.locator('summary').click();
    const stages = await delays.innerText();
    expect(stages).toMatch(/^Delay about \d+ ms/);
    for (const stage of ['Capture', 'Encoding', 'Network', 'Decoding', 'Showing'])
      expect(stages).toMatch(new RegExp(`^${stage}.*\\s+\\d+(\\.\\d)? ms$`, 'm'));
    await shot(w.page, 'journal');
    await view.close();
  });

  it('lets a view-only session change nothing: the agent refuses', async () => {
    w.target.clear();
    const before = w.target.events().length;
    const view = await w.context.newPage();
    const id = await w.page.goto(w.relay.url + '/').then(() => card(w.page).getAttribute('data-id'));
    await view.goto(`${w.relay.url}/computers/${id}/view?mode=view`);
    await live(view);
    // As a person would, and as a forged client would.
    await view.keyboard.press('b');
    const p = await pagePoint(view, 400, 600);
    await view.mouse.click(p.x, p.y);
    await say(view, { case: 'key', value: { usage: 5, down: true } });
    await say(view, {
      case: 'button',
      value: { button: 0, down: true, x: 30000, y: 50000, seq: 4_000_000_000 },
    });
    await say(view, { case: 'text', value: { text: 'b' } });
    await move(view, 4_000_000_001, 60000, 60000);
    const denied = await until('the agent to refuse', async () =>
      (await heard(view)).map((m) => m.body).find((b) => b.case === 'denied'),
    );
    expect(denied.value.detail).not.toBe('');
    // The agent answers a ping after all of it, so all of it has been dealt with.
    await say(view, { case: 'ping', value: { id: 77n } });
    await until('the agent to answer', async () =>
      (await heard(view)).some((m) => m.body.case === 'pong' && m.body.value.id === 77n),
    );
    w.target.box(600, 650, 20, 20, 0x00ff00);
    await videoShows(view, 610, 660, [0, 255, 0]);
    const b = cell(56);
    await videoShows(view, b.x, b.y, idle);
    expect(
      w.target
        .events()
        .slice(before)
        .filter((e) => e.kind !== 'ready'),
    ).toEqual([]);
    await view.close();
  });

  it('ends within a second on both sides from the journal', async () => {
    await w.page.goto(w.relay.url + '/');
    const view = await connect(w.context, w.page);
    await live(view);
    await view.keyboard.down('c'); // held when the end comes
    await w.target.saw('the key', (e) => e.kind === 'key' && e.code === 54 && e.down);
    await w.page.goto(w.relay.url + '/journal');
    // Timed where it happens: in the two pages and at the X server.
    await view.evaluate(() => {
      const now = (): number => performance.timeOrigin + performance.now();
      const main = document.querySelector('[data-testid=view]');
      if (!main) throw new Error('no viewer');
      new MutationObserver(() => {
        if (main.getAttribute('data-state') === 'ended')
          (window as unknown as { __at: number }).__at ??= now();
      }).observe(main, { attributes: true });
    });
    const row = w.page.locator('[data-testid=session][data-state=running]').first();
    await row.getByTestId('end-session').click();
    await w.page.evaluate(() =>
      window.addEventListener(
        'click',
        (e) => ((window as unknown as { __at: number }).__at = performance.timeOrigin + e.timeStamp),
        { capture: true },
      ),
    );
    await w.page.getByRole('dialog').getByRole('button', { name: 'End session' }).click();
    const when = (p: Page): Promise<number> =>
      until('the time', () => p.evaluate(() => (window as unknown as { __at?: number }).__at), 5_000);
    const viewer = (await when(view)) - (await when(w.page));
    const released = await w.target.saw(
      'the key to be released',
      (e) => e.kind === 'key' && e.code === 54 && !e.down,
    );
    const agent = released.at - (await when(w.page));
    expect(await view.locator('body').innerText()).toContain('ended the session from the journal');
    expect(viewer, 'ms until the viewer ended').toBeLessThan(1_000);
    expect(agent, 'ms until the agent let go of the key').toBeLessThan(1_000);
    await expect
      .poll(() => w.page.getByTestId('session').first().innerText())
      .toContain('Ended from the journal');
    expect(await w.page.locator('[data-testid=session]:not([data-state=ended])').count()).toBe(0);
    await view.close();
  });
});
