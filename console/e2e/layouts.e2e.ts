/** What is typed is what appears, whatever the layout of the remote machine. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, live, showToolbar } from './harness/pages.ts';
import { Proc, until } from './harness/proc.ts';
import { tempDir } from './harness/programs.ts';
import { World } from './harness/world.ts';
import type { Page } from 'playwright-core';

// Physical keys, and what each layout prints on them.
const keys = ['KeyQ', 'KeyZ', 'KeyY', 'Semicolon', 'KeyA', 'Digit3'];
const printed = { us: 'qzy;a3', de: 'qyzöa3', fr: 'awymq"', ru: 'йянжф3' } as const;
const text = 'Zürich “naïve” кириллица 漢字 😀 a@b ~^`';

describe('keyboard layouts', () => {
  let w: World;
  let view: Page;
  beforeAll(async () => {
    w = await World.start();
    view = await connect(w.context, w.page);
    await live(view);
  });
  afterAll(async () => w?.stop());

  /** A real terminal that writes down what it is given. */
  async function terminal(): Promise<{ file: string; proc: Proc }> {
    const file = join(tempDir('typed'), 'text');
    const proc = Proc.start(
      'xterm',
      'xterm',
      ['-u8', '-fa', 'DejaVu Sans Mono', '-e', `stty -echo; echo ready > ${file}.up; exec cat > ${file}`],
      {
        env: { DISPLAY: w.display.name, LC_ALL: 'C.UTF-8' },
      },
    );
    await until(
      'the terminal',
      () => existsSync(`${file}.up`),
      15_000,
      () => proc.text(),
    );
    w.display.run(
      'xdotool',
      'search',
      '--sync',
      '--onlyvisible',
      '--class',
      'xterm',
      'windowfocus',
      '--sync',
    );
    return { file, proc };
  }

  async function typed(file: string): Promise<string> {
    await view.keyboard.press('Enter'); // cat writes line by line
    return until('a line', () => {
      const s = readFileSync(file, 'utf8');
      return s.endsWith('\n') && s.slice(0, -1);
    });
  }

  it.each(Object.entries(printed))(
    '%s: physical keys give what is printed on them there',
    async (layout, want) => {
      w.display.layout(layout);
      const t = await terminal();
      try {
        await view.locator('video').hover();
        for (const k of keys) await view.keyboard.press(k);
        expect(await typed(t.file)).toBe(want);
      } finally {
        await t.proc.stop();
      }
    },
  );

  it.each(Object.keys(printed))('%s: text mode gives what was typed here', async (layout) => {
    w.display.layout(layout);
    const t = await terminal();
    try {
      await showToolbar(view);
      const mode = view.getByRole('button', { name: /Text mode/ });
      if ((await mode.getAttribute('aria-pressed')) !== 'true') await mode.click();
      await view.keyboard.insertText(text);
      expect(await typed(t.file)).toBe(text);
    } finally {
      await showToolbar(view);
      const mode = view.getByRole('button', { name: /Text mode/ });
      if ((await mode.getAttribute('aria-pressed')) === 'true') await mode.click();
      await t.proc.stop();
    }
  });
});
