import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeSocket } from '../core/fakes';
import { Live } from '../core/relay/live';
import { parse } from '../routes';
import { Computer_Status, ComputerSchema } from '../core/wire/oriel/v1/live_pb';
import { Code, EndReason, Path, Scope } from '../core/wire/oriel/v1/session_pb';
import { Computers } from './computers.svelte';
import { Journal } from '../pages/journal/journal.svelte';
import { router } from './route.svelte';

const answer = (body: unknown) =>
  new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json' } });

describe('addresses', () => {
  it.each([
    ['/', { page: 'computers', id: '' }],
    ['/computers/0192-ab', { page: 'computer', id: '0192-ab' }],
    ['/computers/0192-ab/view', { page: 'view', id: '0192-ab' }],
    ['/journal/', { page: 'journal', id: '' }],
    ['/sign-in', { page: 'sign-in', id: '' }],
    ['/owner', { page: 'owner', id: '' }],
    ['/recover', { page: 'recover', id: '' }],
    ['/account', { page: 'account', id: '' }],
    ['/api/docs', { page: 'docs', id: '' }],
    ['/journal/x', { page: 'unknown', id: '' }],
    ['/computers/a%2Fb/view', { page: 'unknown', id: '' }],
    ['/computers', { page: 'unknown', id: '' }],
    ['/nothing', { page: 'unknown', id: '' }],
  ])('%s', (path, route) => expect(parse(path)).toEqual(route));

  it.each([
    ['/computers/c1/view?mode=view', '/computers/c1/view?mode=view'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
    ['/sign-in', '/'],
    ['', '/'],
  ])('after signing in, %s leads to %s', (next, want) => {
    router.go(`/sign-in?next=${encodeURIComponent(next)}`);
    expect(router.next).toBe(want);
  });

  // Rule: a link to a place on the page that is open is the browser's own; others change the page.
  it.each([
    ['/api/docs#signIn', false],
    ['#signIn', false],
    ['/journal#top', true],
  ])('%s on a page is followed by the console: %s', (href, followed) => {
    router.go('/api/docs');
    const link = document.createElement('a');
    link.href = href;
    document.body.append(link);
    const click = new MouseEvent('click', { bubbles: true, cancelable: true, button: 0 });
    link.dispatchEvent(click);
    link.remove();
    expect([click.defaultPrevented, location.pathname]).toEqual([
      followed,
      followed ? '/journal' : '/api/docs',
    ]);
  });

  it('keep what is looked at', () => {
    router.go('/?q=a');
    router.keep({ sort: '-name', q: '' });
    expect(location.search).toBe('?sort=-name');
    expect(router.query.get('sort')).toBe('-name');
  });
});

describe('computers', () => {
  const computer = (id: string, name: string, status: Computer_Status, lastSeen = 0, more: object = {}) =>
    create(ComputerSchema, { id, name, status, lastSeen: BigInt(lastSeen), ...more });
  let all: Computers;
  beforeEach(() => {
    all = new Computers();
    for (const c of [
      computer('1', 'pc10', Computer_Status.OFFLINE, 50),
      computer('2', 'pc2', Computer_Status.ONLINE, 10, { address: '10.0.0.7' }),
      computer('3', 'Ärger', Computer_Status.IN_SESSION, 5, {
        summary: { osName: 'Debian 12', user: 'marta' },
      }),
      computer('4', 'zoo', Computer_Status.OFFLINE, 90),
    ])
      all.byId.set(c.id, c);
  });
  const names = (key: 'name' | 'status' | 'seen', reverse = false, search = '') =>
    all.list(search, { key, reverse }).map((c) => c.name);

  it('are sorted as people count and spell', () =>
    expect(names('name')).toEqual(['Ärger', 'pc2', 'pc10', 'zoo']));
  it('by status begin with those in session', () =>
    expect(names('status')).toEqual(['Ärger', 'pc2', 'pc10', 'zoo']));
  it('by last seen begin with those that are here', () =>
    expect(names('seen')).toEqual(['Ärger', 'pc2', 'zoo', 'pc10']));
  it('both ways', () => expect(names('name', true)).toEqual(['zoo', 'pc10', 'pc2', 'Ärger']));
  it.each([
    ['marta', ['Ärger']],
    ['debian 12', ['Ärger']],
    ['10.0.0', ['pc2']],
    ['PC', ['pc2', 'pc10']],
    ['pc nothing', []],
  ])('are found by %s', (search, want) => expect(names('name', false, search)).toEqual(want));

  it('follow live events, and a new snapshot replaces all', () => {
    FakeSocket.all = [];
    const live = new Live('ws://relay', { open: FakeSocket.open });
    const off = all.listen(live);
    FakeSocket.last.greet();
    FakeSocket.last.deliver({
      case: 'computers',
      value: {
        computers: [
          { id: 'a', name: 'a' },
          { id: 'b', name: 'b' },
        ],
      },
    });
    FakeSocket.last.deliver({ case: 'computer', value: { id: 'a', name: 'A' } });
    FakeSocket.last.deliver({ case: 'computerRemoved', value: { id: 'b' } });
    expect([...all.byId.values()].map((c) => c.name)).toEqual(['A']);
    expect(all.loaded).toBe(true);
    off();
    FakeSocket.last.deliver({ case: 'computer', value: { id: 'c', name: 'c' } });
    expect(all.byId.size).toBe(1);
    live.close();
  });
});

describe('journal', () => {
  const row = (id: string, startedAt: string, more: object = {}) => ({
    id,
    computer_id: 'c',
    computer_name: 'pc',
    operator_id: 'o',
    operator_name: 'Ada',
    operator_address: '::1',
    browser: '',
    scopes: ['view'],
    started_at: startedAt,
    end_reason: '',
    end_code: '',
    end_detail: '',
    path: '',
    bytes: 5,
    codec: '',
    ...more,
  });
  let live: Live;
  let journal: Journal;
  beforeEach(() => {
    FakeSocket.all = [];
    live = new Live('ws://relay', { open: FakeSocket.open });
    journal = new Journal();
    journal.listen(live);
    FakeSocket.last.greet();
  });
  afterEach(() => {
    live.close();
    vi.unstubAllGlobals();
  });

  it('is the snapshot, then deltas, then older pages, each session once and the newest first', async () => {
    const pages = [
      { items: [row('s2', '2026-01-02T00:00:00Z')], next: 'older' },
      {
        items: [
          row('s1', '2026-01-01T00:00:00Z', {
            ended_at: '2026-01-01T00:01:00Z',
            end_reason: 'agent_stopped',
            end_code: 'grant_signature',
            path: 'relayed',
            delays: { frames: 9, encode_us: 9000, round_trip_us: 40_000, queue_us: 1500, loss_ppm: 20_000 },
          }),
        ],
        next: '',
      },
    ];
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (request: Request) => {
      asked.push(new URL(request.url).search);
      return answer(pages[asked.length - 1]);
    });
    const started = BigInt(Date.parse('2026-01-02T00:00:00Z'));
    FakeSocket.last.deliver({
      case: 'journal',
      value: { entries: [{ sessionId: 's2', startedAt: started }] },
    });
    await vi.waitFor(() => expect(journal.loaded).toBe(true));
    expect(journal.hasOlder).toBe(true);
    const delays = { frames: 9n, encodeUs: 9000, roundTripUs: 40_000, queueUs: 1500, lossPpm: 20_000 };
    FakeSocket.last.deliver({
      case: 'journalEntry',
      value: { sessionId: 's3', startedAt: started + 5n, delays },
    });
    await journal.loadOlder();
    expect(asked).toEqual(['?limit=20', '?limit=20&cursor=older']);
    expect(journal.entries.map((e) => e.id)).toEqual(['s3', 's2', 's1']);
    expect(journal.hasOlder).toBe(false);
    expect(journal.entries[2]).toMatchObject({
      scopes: [Scope.VIEW],
      endReason: EndReason.AGENT_STOPPED,
      endCode: Code.GRANT_SIGNATURE,
      path: Path.RELAYED,
    });
    // The same from either side, and none where nobody measured.
    expect(journal.entries.map((e) => e.delays?.stages.network)).toEqual([21.5, undefined, 21.5]);
    expect(journal.entries[0]?.delays).toEqual(journal.entries[2]?.delays);
    expect(journal.entries[0]?.delays).toMatchObject({
      frames: 9,
      lossPercent: 2,
      stages: { shown: undefined },
    });
  });

  // Rule: what an open page has of the journal is gone when its person may read something else.
  it('forgets what it had, also older pages, when its audience is another', async () => {
    vi.stubGlobal('fetch', async () => answer({ items: [row('old', '2026-01-01T00:00:00Z')], next: '' }));
    const snapshot = (audience: string, ...ids: string[]) =>
      FakeSocket.last.deliver({
        case: 'journal',
        value: { audience, entries: ids.map((sessionId) => ({ sessionId })) },
      });
    const shown = () => journal.entries.map((e) => e.id).sort();
    snapshot('a', 's1');
    await vi.waitFor(() => expect(journal.loaded).toBe(true));
    snapshot('a', 's2');
    expect(shown()).toEqual(['old', 's1', 's2']);
    vi.stubGlobal('fetch', async () => answer({ items: [], next: '' }));
    snapshot('b', 's2');
    expect(shown()).toEqual(['s2']);
    await vi.waitFor(() => expect(journal.loaded).toBe(true));
  });
});
