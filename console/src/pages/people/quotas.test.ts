import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { level, limitOf, warning, written, type Use } from './quotas';
import { quotas } from './quotas.svelte';
import type { Live } from '../../core/relay/live';
import { account } from '../../state/account.svelte';
import AddComputer from '../computers/AddComputer.svelte';
import WaitingComputers from '../computers/WaitingComputers.svelte';
import Invite from './Invite.svelte';
import NewService from './NewService.svelte';
import Organizations from './Organizations.svelte';
import Quotas from './Quotas.svelte';

const acme = { id: 'o1', name: 'Acme', code: 'acme', created_at: '2026-01-01T00:00:00Z' };

/** A relay that has these quotas; what is put is kept. */
function relay(mine: Partial<Record<string, Use>>) {
  const put: unknown[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (request.method === 'PUT') put.push([pathname, await request.json()]);
    if (pathname.endsWith('/quotas')) return Response.json(mine);
    const items = pathname.endsWith('/organizations') ? [acme] : [];
    return Response.json({ items, next: '', token: 't', command: 'c', expires_at: '2030-01-01T00:00:00Z' });
  });
  return put;
}

beforeEach(() => {
  quotas.mine = {};
  HTMLElement.prototype.showPopover ??= () => undefined; // happy-dom has no top layer
});
afterEach(() => vi.unstubAllGlobals());

const warnings = () => screen.queryAllByTestId('quota-warning').map(({ textContent }) => textContent);

describe('a quota', () => {
  // Rule: there is a warning from 80 % of a quota on, another from 100 % on, and none without a limit.
  it.each([
    [{ used: 1000 }, undefined],
    [{ used: 0, limit: 5 }, undefined],
    [{ used: 79, limit: 100 }, undefined],
    [{ used: 80, limit: 100 }, 'near'],
    [{ used: 4, limit: 5 }, 'near'],
    [{ used: 99, limit: 100 }, 'near'],
    [{ used: 100, limit: 100 }, 'full'],
    [{ used: 7, limit: 5 }, 'full'],
    [{ used: 0, limit: 0 }, 'full'],
    [{ used: 0.8 * 2 ** 50, limit: 2 ** 50 }, 'near'],
  ] as const)('of %o is %s', (use, want) => {
    expect(level(use)).toBe(want);
    expect(warning('computers', use) !== '').toBe(want !== undefined);
  });

  it('is said in sentences', () => {
    expect(warning('storage', { used: 850e6, limit: 1e9 })).toContain('850 MB of 1 GB used');
    expect(warning('people', { used: 9, limit: 9 })).toContain('quota of 9 is used up');
    expect(warning('people', undefined)).toBe('');
  });

  // Rule: a limit is set as it is written, of storage in megabytes to the byte; nothing is no limit, and not 0.
  it.each([
    ['computers', '', undefined],
    ['computers', ' 25 ', 25],
    ['computers', '0', 0],
    ['computers', '2.5', NaN],
    ['people', '-1', NaN],
    ['sessions', 'many', NaN],
    ['storage', '500', 500e6],
    ['storage', '1234.567891', 1234567891],
  ] as const)('of %s, written %o, is %s', (kind, text, limit) => {
    expect(limitOf(kind, text)).toBe(limit);
    const use = limit === undefined ? { used: 0 } : { used: 0, limit };
    if (!Number.isNaN(limit)) expect(written(kind, use)).toBe(text.trim());
  });
});

describe('quotas on pages', () => {
  // Rule: each kind that the relay tells of is listed with its use and its limit, or that there is none.
  it('are listed', async () => {
    relay({ people: { used: 4, limit: 5 }, computers: { used: 3 }, storage: { used: 2e9, limit: 1e9 } });
    render(Quotas);
    await screen.findByTestId('quotas');
    const rows = [...screen.getByTestId('quotas').querySelectorAll('tbody tr')].map((row) =>
      [...row.querySelectorAll('td')].map(({ textContent }) => textContent?.trim()),
    );
    expect(rows).toEqual([
      ['Computers', '3', 'No limit'],
      ['People, with service accounts', '4', '5'],
      ['Previews and inventories', '2 GB', '1 GB'],
    ]);
    expect(warnings()).toHaveLength(2);
  });

  // Rule: where something is made, the page says before that there is little or no room for it, and of nothing else.
  it.each([
    ['a computer', AddComputer, ['Computers: 4 of 5 used']],
    ['a service account', NewService, ['People, with service accounts: 9 of 10']],
    ['an invitation', Invite, ['People, with service accounts: 9 of 10', 'Open invitations: the quota of 2']],
  ] as const)('warn who adds %s', async (_name, dialog, want) => {
    relay({
      computers: { used: 4, limit: 5 },
      people: { used: 9, limit: 10 },
      invitations: { used: 2, limit: 2 },
      storage: { used: 1, limit: 1 },
    });
    render(dialog, { onclose: () => undefined });
    await vi.waitFor(() => expect(warnings()).toHaveLength(want.length));
    want.forEach((words, i) => expect(warnings()[i]).toContain(words));
  });

  it('warn who takes back a computer that waits, and again when there is less room', async () => {
    let used = 4;
    const waits = [{ id: 'c1' }, { id: 'c2' }].map(({ id }) => ({
      ...{ id, host_name: id, os_name: '', address: '', seen_at: '2026-11-30T12:00:00Z' },
    }));
    vi.stubGlobal('fetch', async (request: Request) => {
      const { pathname } = new URL(request.url);
      if (pathname.endsWith('/quotas')) return Response.json({ computers: { used, limit: 5 } });
      if (request.method === 'POST') used++;
      if (request.method === 'POST') return new Response(null, { status: 204 });
      return Response.json({ items: waits, next: '' });
    });
    account.live = { on: () => () => undefined } as unknown as Live;
    render(WaitingComputers);
    await vi.waitFor(() => expect(warnings()).toEqual([expect.stringContaining('Computers: 4 of 5 used')]));
    await fireEvent.click((await screen.findAllByTestId('take-back'))[0] ?? document.body);
    await vi.waitFor(() => expect(warnings()).toEqual([expect.stringContaining('quota of 5 is used up')]));
    account.live = undefined;
  });

  // Rule: who operates the relay sets all quotas of an organization at once, and what is no number is not sent.
  it('are set', async () => {
    const put = relay({
      computers: { used: 3, limit: 5 },
      storage: { used: 0, limit: 1e6 },
      people: { used: 1 },
    });
    render(Organizations);
    await fireEvent.click(await screen.findByTestId('set-quotas'));
    const write = async (label: RegExp, value: string) =>
      fireEvent.input(await screen.findByLabelText(label), { target: { value } });
    const save = () =>
      fireEvent.submit(screen.getByTestId('quota-dialog').querySelector('form') ?? document.body);
    await write(/^People/, 'few');
    await save();
    expect((await screen.findByTestId('problem')).textContent).toContain('write a number');
    expect(put).toEqual([]);
    await write(/^People/, '12');
    await write(/^Computers/, '');
    await save();
    await vi.waitFor(() => expect(screen.queryByTestId('quota-dialog')).toBeNull());
    expect(put).toEqual([['/api/v1/organizations/o1/quotas', { people: 12, storage: 1e6 }]]);
  });
});
