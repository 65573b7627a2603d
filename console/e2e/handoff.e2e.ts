/** A tab that a click opens begins with the socket of the page that was clicked in (core/relay/handoff.ts). */
import { fromBinary } from '@bufbuild/protobuf';
import type { Page, WebSocket } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FromConsoleSchema } from '../src/core/wire/oriel/v1/live_pb.ts';
import { videoShows } from './harness/browser.ts';
import { card, connect, disconnect, live } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { blue, cell } from './harness/target.ts';
import { World } from './harness/world.ts';

type Socket = { socket: WebSocket; sent: string[] };
type Seen = { __seen: Set<string> };

describe('the tab of a click', () => {
  let w: World;
  let list: Page;
  let onsent: (page: Page, name: string) => void;
  const sockets = new Map<Page, Socket[]>();
  const of = (page: Page): string[][] => (sockets.get(page) ?? []).map((s) => s.sent);

  function watch(page: Page): void {
    const all: Socket[] = [];
    sockets.set(page, all);
    page.on('websocket', (socket) => {
      const sent: string[] = [];
      all.push({ socket, sent });
      socket.on('framesent', ({ payload }) => {
        const name = String(fromBinary(FromConsoleSchema, payload as Buffer).body.case);
        sent.push(name);
        onsent(page, name);
      });
    });
  }

  beforeAll(async () => {
    w = await World.start();
    w.context.on('page', watch);
  });
  beforeEach(async () => {
    onsent = () => undefined;
    list = await w.context.newPage();
    await list.goto(w.relay.url + '/');
    await card(list).waitFor();
  });
  afterAll(async () => {
    await w?.stop();
    expect(w?.errors ?? []).toEqual([]);
  });

  // Every word about a connection that is lost, and every state of a viewer.
  const see = (page: Page): Promise<void> =>
    page.evaluate(() => {
      const seen = ((window as unknown as Seen).__seen = new Set());
      const look = (): void => {
        for (const e of document.querySelectorAll('[data-testid=sign], [data-testid=relay-lost]'))
          seen.add(e.textContent ?? '');
        seen.add(document.querySelector('[data-testid=view]')?.getAttribute('data-state') ?? 'none');
      };
      look();
      new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
    });
  const seen = (page: Page): Promise<string[]> =>
    page.evaluate(() => [...(window as unknown as Seen).__seen]);
  const key = async (view: Page, letter: string, code: number): Promise<void> => {
    const { x, y } = cell(code);
    await view.keyboard.press(letter);
    await videoShows(view, x, y, blue);
  };
  const ended = async (view: Page): Promise<void> => {
    await disconnect(view);
    await view.getByText('You disconnected').waitFor();
    const journal = await w.context.newPage();
    await journal.goto(w.relay.url + '/journal');
    const row = journal.getByTestId('session').first();
    await expect.poll(() => row.innerText(), { timeout: 10_000 }).toContain('Disconnected');
    await journal.close();
    await view.close();
  };

  it('begins on the list’s socket, moves to its own, and needs the list no longer', async () => {
    await see(list);
    const view = await connect(w.context, list);
    await view.waitForLoadState('domcontentloaded');
    await see(view);
    await live(view);
    await until('a socket of its own', () => of(view)[0]?.includes('attachSession'));
    expect(of(view)).toHaveLength(1);
    expect(of(view)[0]).not.toContain('openSession');
    const [lent, next, ...more] = of(list);
    expect(lent).toContain('openSession');
    expect(next).toEqual(['watch']);
    expect(more).toEqual([]);
    await until('the lent one to be closed', () => sockets.get(list)?.[0]?.socket.isClosed());
    await until('the list to know', async () => (await card(list).innerText()).includes('In session'));
    expect(await seen(list)).toEqual(['none']);
    await list.close();
    await key(view, 'q', 24);
    const states = (await seen(view)).filter((s) => !['none', 'asking', 'connecting'].includes(s));
    expect(states).toEqual(['live']);
    await ended(view);
  });

  it('comes to its session also when the list is closed at once', async () => {
    const closed = new Promise<void>((done) => {
      onsent = (page, name) => {
        if (page === list && name === 'openSession') void page.close({ runBeforeUnload: true }).then(done);
      };
    });
    const view = await connect(w.context, list);
    await closed;
    const begun = Date.now();
    await live(view);
    await key(view, 'e', 26);
    expect(Date.now() - begun).toBeLessThan(8_000); // no timeout was waited for
    await until('a socket of its own', () => of(view).length === 1);
    await ended(view);
  });

  it('opens its own when it has no opener', async () => {
    const href = await card(list)
      .getByRole('link', { name: /^Connect to/ })
      .getAttribute('href');
    const view = await w.context.newPage();
    await view.goto(w.relay.url + href);
    await live(view);
    expect(of(view).map((sent) => sent.includes('openSession'))).toEqual([true]);
    expect(of(list)).toHaveLength(1);
    await ended(view);
  });
});
