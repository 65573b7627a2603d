/** Firefox, driven over WebDriver BiDi. Playwright drives only a Firefox of its own make. */
import { existsSync } from 'node:fs';
import puppeteer, { type Browser, type ElementHandle, type Page } from 'puppeteer-core';
import { Display } from './display.ts';
import { until } from './proc.ts';
import { tempDir } from './programs.ts';

const firefoxPath =
  process.env['FIREFOX'] ?? ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find(existsSync) ?? 'firefox';

/**
 * Firefox in a window of its own X display, so that a turn of the wheel can come from the X
 * server as from a mouse: what WebDriver makes of one is pixels, never notches.
 */
export class Firefox {
  /** What went wrong in pages without anybody seeing it. */
  readonly errors: string[] = [];

  private constructor(
    readonly display: Display,
    readonly browser: Browser,
    readonly page: Page,
  ) {}

  static async start(): Promise<Firefox> {
    const display = await Display.start(1300, 900);
    try {
      const browser = await puppeteer.launch({
        browser: 'firefox',
        executablePath: firefoxPath,
        headless: false,
        defaultViewport: null, // the window's own
        args: ['--width=1300', '--height=900'],
        env: { ...process.env, HOME: tempDir('firefox'), DISPLAY: display.name, WAYLAND_DISPLAY: '' },
        timeout: 120_000,
        protocolTimeout: 120_000,
      });
      const [page] = await browser.pages();
      if (!page) throw new Error('Firefox has no page');
      const firefox = new Firefox(display, browser, page);
      firefox.watch(page);
      await page.evaluateOnNewDocument(() =>
        document.addEventListener('securitypolicyviolation', (e) => console.error('refused', e.blockedURI)),
      );
      return firefox;
    } catch (e) {
      await display.stop();
      throw e;
    }
  }

  /** Keeps what the page complains of. */
  private watch(page: Page): void {
    page.on('pageerror', (e) => this.errors.push(String(e)));
    page.on('console', (m) => {
      if (m.type() === 'error') this.errors.push(m.text());
    });
  }

  /** The tab whose address matches, once it is there. */
  async tab(address: RegExp): Promise<Page> {
    const target = await this.browser.waitForTarget((t) => address.test(t.url()), { timeout: 30_000 });
    const page = await target.page();
    if (!page) throw new Error(`${target.url()} is not a page`);
    this.watch(page);
    return page;
  }

  /** Turns the wheel of the display's mouse by that many notches down, at a place of the page. */
  async turnWheel(page: Page, x: number, y: number, notches: number): Promise<void> {
    const [left, top] = await page.evaluate(() => {
      const w = window as unknown as { mozInnerScreenX: number; mozInnerScreenY: number };
      return [w.mozInnerScreenX, w.mozInnerScreenY] as const;
    });
    this.display.run('xdotool', 'mousemove', String(Math.round(left + x)), String(Math.round(top + y)));
    this.display.run('xdotool', 'click', '--repeat', String(Math.abs(notches)), notches > 0 ? '5' : '4');
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.display.stop();
  }
}

/** What has this name for those who cannot see it, once it is there. */
export async function named(page: Page, name: string, role?: string): Promise<ElementHandle> {
  const found = await page.waitForSelector(`::-p-aria(${name}${role ? `[role="${role}"]` : ''})`, {
    timeout: 30_000,
  });
  if (!found) throw new Error(`there is no ${name}`);
  return found;
}

export async function fill(page: Page, label: string, text: string): Promise<void> {
  await (await named(page, label)).type(text);
}

export async function says(page: Page, text: RegExp | string, ms = 20_000): Promise<void> {
  let seen = '';
  await until(
    `the page to say ${text}`,
    async () => {
      seen = await page.evaluate(() => document.body.innerText);
      return typeof text === 'string' ? seen.includes(text) : text.test(seen);
    },
    ms,
    () => seen,
  );
}
