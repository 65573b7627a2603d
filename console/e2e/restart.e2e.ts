/** The relay, and the agent, are killed and come back while a direct session runs. */
import { describe, expect, it } from 'vitest';
import { videoShows } from './harness/browser.ts';
import { card, connect, disconnect, live, state } from './harness/pages.ts';
import { until } from './harness/proc.ts';
import { wire } from './harness/rtc.ts';
import { blue, cell } from './harness/target.ts';
import { World } from './harness/world.ts';

describe('a relay that dies', () => {
  it('does not take the session with it', async () => {
    const w = await World.start();
    try {
      const view = await connect(w.context, w.page);
      await live(view);
      expect((await wire(view)).localType).not.toBe('relay');
      const frames = async (): Promise<number> => (await wire(view)).framesDecoded;

      await w.relay.crash();
      // The picture and the keys go on without it.
      const before = await frames();
      const q = cell(24);
      await view.keyboard.press('q');
      await videoShows(view, q.x, q.y, blue);
      expect(await frames()).toBeGreaterThan(before);
      expect(await state(view)).toBe('live');

      await w.relay.restart();
      const started = Date.now();
      await until(
        'the agent to be back in the list',
        async () =>
          /In session|Online/.test(
            await card(w.page)
              .innerText()
              .catch(() => ''),
          ),
        20_000,
        () => w.logs(),
      );
      expect(Date.now() - started).toBeLessThan(10_000);
      await until('the list to say it is in session', async () =>
        /In session/.test(await card(w.page).innerText()),
      );

      const e = cell(26);
      await view.keyboard.press('e');
      await videoShows(view, e.x, e.y, blue);

      await w.page.goto(w.relay.url + '/journal');
      await expect.poll(() => w.page.getByTestId('session').count()).toBe(1);
      expect(await w.page.getByTestId('session').getAttribute('data-state')).toBe('running');

      // The end still finds its way into the same row.
      await disconnect(view);
      await expect
        .poll(() => w.page.getByTestId('session').first().innerText(), { timeout: 10_000 })
        .toContain('Disconnected');
      expect(await w.page.getByTestId('session').count()).toBe(1);
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await w.stop();
    }
  });
});

type Row = { id: string; started_at: string; ended_at?: string; end_reason: string };

/** What is written while programs die: of each enrollment token the relay has said that it is made. */
class Work {
  readonly acknowledged: string[] = [];
  #stop = false;
  #done: Promise<void>;

  constructor(private w: World) {
    this.#done = this.#write();
  }

  async #write(): Promise<void> {
    for (let i = 0; !this.#stop; i++) {
      const note = `work ${i}`;
      const made = await this.w.context.request
        .post(`${this.w.relay.url}/api/v1/enrollment-tokens`, { data: { note }, timeout: 2_000 })
        .catch(() => undefined); // the relay is dead just now
      if (made?.status() === 201) this.acknowledged.push(note);
      await new Promise((resolve) => setTimeout(resolve, 100)); // how fast it is written, not a wait
    }
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await this.#done;
  }
}

describe('six kills', () => {
  // Rule: direct sessions, agents and journal survive kills.
  it('lose nothing that was acknowledged, and everything is back', async () => {
    const w = await World.start();
    const get = async <T>(path: string): Promise<T> =>
      (await (await w.context.request.get(`${w.relay.url}/api/v1${path}`)).json()) as T;
    const journal = async (): Promise<Row[]> => (await get<{ items: Row[] }>('/sessions?limit=100')).items;
    const work = new Work(w);
    try {
      const view = await connect(w.context, w.page);
      await live(view);
      let known = await journal();
      const keys = 'qwerty';
      for (let kill = 0; kill < 6; kill++) {
        const before = work.acknowledged.length;
        if (kill % 2 === 0) {
          await w.relay.crash();
          expect(await state(view)).toBe('live'); // a direct session does not notice
          await w.relay.restart();
        } else {
          await w.agent.crash();
          // What is typed before the viewer notices is lost with the connection.
          await until('the viewer to notice', async () => (await state(view)) === 'away', 20_000);
          expect(await view.getByTestId('waiting').innerText()).toContain('does not answer');
          await w.agent.restart();
        }
        await until(
          `the computer to be in session after kill ${kill + 1}`,
          async () =>
            (await get<{ items: { status: string }[] }>('/computers').catch(() => undefined))?.items.every(
              (c) => c.status === 'in_session',
            ),
          40_000,
          () => w.logs(),
        );
        await live(view);
        const key = keys.charAt(kill);
        const at = cell(24 + kill); // X's codes of that row of keys
        await view.keyboard.press(key);
        await videoShows(view, at.x, at.y, blue);
        await until('work to go on', () => work.acknowledged.length > before, 20_000);

        const rows = await journal();
        for (const row of known) {
          const now = rows.find((r) => r.id === row.id);
          expect(now, `row ${row.id} after kill ${kill + 1}`).toBeDefined();
          // An end is final, but for the relay's own guess.
          if (row.ended_at && row.end_reason !== 'lost') expect(now?.end_reason).toBe(row.end_reason);
        }
        known = rows;
      }
      await work.stop();
      const kept = new Set<string>();
      for (let cursor = ''; ;) {
        const path = `/enrollment-tokens?limit=100${cursor && `&cursor=${cursor}`}`;
        const page = await get<{ items: { note: string }[]; next: string }>(path);
        page.items.forEach((t) => kept.add(t.note));
        if (!(cursor = page.next)) break;
      }
      expect(work.acknowledged.filter((note) => !kept.has(note))).toEqual([]);
      await disconnect(view);
      await expect
        .poll(async () => (await journal()).filter((row) => !row.ended_at).length, { timeout: 20_000 })
        .toBe(0);
      for (const row of await journal())
        expect(Date.parse(row.ended_at ?? '')).toBeGreaterThanOrEqual(Date.parse(row.started_at));
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await work.stop();
      await w.stop();
    }
  });
});
