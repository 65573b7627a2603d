import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ACTIONS, actionWords, detailLines } from '../../i18n/audit';
import { router } from '../../state/route.svelte';
import { exportUrl, queryOf, type Entry, type Filter } from './audit.svelte';
import Audit from './Audit.svelte';

const nothing: Filter = { who: '', action: '', outcome: '', from: '', until: '' };
const entry = (over: Partial<Entry>): Entry => ({
  ...{ organization: 'main', sequence: 1, at: '2026-11-30T09:00:00Z', actor_kind: 'person', actor_id: 'p1' },
  ...{ actor_name: 'Ada', sign_in_id: 's', address: '192.0.2.7', action: 'computer.renamed', hash: 'h' },
  ...{ object_kind: 'computer', object_id: 'c1', outcome: 'done', details: {} },
  ...over,
});

/** A relay that answers with those entries, a page each, and that state. */
function relay(pages: Entry[][], state: object = { verified: 0, signed: 0, fault: '' }) {
  const asked: URL[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    const url = new URL(request.url);
    if (url.pathname.endsWith('/audit/state')) return Response.json(state);
    asked.push(url);
    const at = Number(url.searchParams.get('cursor') ?? 0);
    return Response.json({ items: pages[at] ?? [], next: at + 1 < pages.length ? String(at + 1) : '' });
  });
  return asked;
}

beforeEach(() => router.go('/audit', true));
afterEach(() => vi.unstubAllGlobals());

describe('words of the audit', () => {
  // Rule: each action of relay/internal/audit has a sentence of its own, and there is none beside them.
  it('are there for each action of the relay', () => {
    const folder = join(import.meta.dirname, '../../../../relay/internal/audit');
    const files = readdirSync(folder).filter((file) => file.endsWith('.go'));
    const source = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('');
    const actions = [...source.matchAll(/^\t\w+ +Action = "([^"]+)"/gm)].map(([, action]) => action);
    expect(Object.keys(ACTIONS).sort()).toEqual(actions.sort());
    expect(new Set(Object.values(ACTIONS).map((words) => words())).size).toBe(actions.length);
  });

  it('leave what they do not know as the relay calls it', () => {
    expect(actionWords('constructor')).toBe('constructor');
    expect(detailLines({ novel: 'x', none: '' }, { of: () => undefined, roles: [] })).toEqual(['novel: x']);
  });

  // Rule: what a policy said and says is told in the words of its page, what changed alone, and no JSON.
  it('say what of a policy changed', () => {
    const lines = (details: Record<string, string>) =>
      detailLines(details, { of: () => undefined, roles: [] });
    const [settings_before, settings] = [
      '{"scopes":["view"],"session_minutes":60,"consent":true}',
      '{"scopes":["view","control"],"session_minutes":60}',
    ];
    const changed = lines({ settings_before, settings });
    expect(changed).toHaveLength(2);
    expect(changed[0]).toMatch(/^[^:{]+: [^;{]+ → [^;{]+; [^;{]+$/);
    expect(changed[1]).toMatch(/: Yes → /);
    expect(lines({ settings })).toHaveLength(2);
    const removed = lines({ settings_before: '{"session_minutes":60}' });
    expect(removed).toHaveLength(1);
    expect(removed[0]).toMatch(/: 60 → [^;{]+$/);
  });

  // Rule: of a long list it is told what came and what went.
  it('say what a long list of a policy lost and gained', () => {
    const all = Array.from({ length: 60 }, (_, i) => `10.0.${i}.0/24`);
    const [settings_before, settings] = [all, ['192.0.2.0/24', ...all.slice(1)]].map((allowed_addresses) =>
      JSON.stringify({ allowed_addresses }),
    );
    const lines = detailLines(
      { settings_before: settings_before ?? '', settings: settings ?? '' },
      { of: () => undefined, roles: [] },
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('added 192.0.2.0/24 · removed 10.0.0.0/24');
    expect(lines[0]).not.toContain('10.0.1.0/24');
  });

  // Rule: of a change of which an old relay kept only the beginning nothing is told that is not so.
  it('say that a cut change is not known', () => {
    const lines = detailLines(
      { settings_before: '{"hours":["mon-f', settings: '{"consent":true}' },
      { of: () => undefined, roles: [] },
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('only the beginning');
  });

  it('name who and what is meant', () => {
    const names = { of: (_kind: string, id: string) => ({ p1: 'Ada', g1: 'Shop' })[id], roles: [] };
    const details = {
      subject: 'person p1',
      role: 'viewer',
      object: 'group g1',
      reason: 'operator',
      why: 'tries',
    };
    expect(detailLines(details, names)).toEqual([
      ...['To: Person Ada', 'Role: Viewer', 'On: Group Shop', 'Reason: Disconnected'],
      'Why: too many wrong passwords',
    ]);
  });
});

describe('a filter of the audit', () => {
  // Rule: days are those of who reads, and the last one is within.
  it('asks for whole days, and for nothing that is none', () => {
    expect(queryOf({ ...nothing, from: '2026-03-01', until: '2026-03-31' })).toEqual({
      from: new Date(2026, 2, 1).toISOString(),
      until: new Date(2026, 3, 1).toISOString(),
    });
    expect(queryOf({ ...nothing, from: 'yesterday', outcome: 'maybe' })).toEqual({});
  });

  it('tells a kind of actor from one of them, and exports the same', () => {
    expect(queryOf({ ...nothing, who: 'agent' })).toEqual({ actor_kind: 'agent' });
    const url = exportUrl({ ...nothing, who: 'p=1&x', action: 'attempt' }, 'csv');
    expect(url).toBe('/api/v1/audit/export?actor=p%3D1%26x&action=attempt&format=csv');
  });
});

describe('the page of the audit', () => {
  // Rule: a filter is in the address, asks anew and holds for older pages, too.
  it('keeps its filters in the address and in older pages', async () => {
    const asked = relay([[entry({ sequence: 2 })], [entry({ sequence: 1 })]]);
    render(Audit);
    await screen.findAllByTestId('audit-entry');
    await fireEvent.click(screen.getByRole('button', { name: 'Ada' }));
    await waitFor(() => expect(asked.at(-1)?.searchParams.get('actor')).toBe('p1'));
    router.keep({ outcome: 'done' });
    await waitFor(() => expect(asked.at(-1)?.searchParams.get('outcome')).toBe('done'));
    expect(location.search).toBe('?who=p1&outcome=done');
    await fireEvent.click(await screen.findByTestId('load-older'));
    await waitFor(() => expect(screen.getAllByTestId('audit-entry')).toHaveLength(2));
    expect(asked.at(-1)?.search).toMatch(/outcome=done.*cursor=1|cursor=1.*outcome=done/);
    expect(screen.queryByTestId('load-older')).toBeNull();
  });

  // Rule: names in the audit were sent by others: they are shown as one line without what is hidden.
  it('shows names as plain text', async () => {
    relay([[entry({ actor_name: 'A\u202eda\u0007<b>', details: { name: 'x\n\u200by' } })]]);
    const { container } = render(Audit);
    const row = await screen.findByTestId('audit-entry');
    expect(row.textContent).toContain('Ada<b>');
    expect(row.textContent).toContain('Name: x y');
    expect(container.querySelector('b')).toBeNull();
  });

  // Rule: an audit that was altered is said above it, instead of that it is whole.
  it('says whether it was altered', async () => {
    relay([[entry({})]], {
      verified: 7,
      verified_at: '2026-11-30T09:00:00Z',
      signed: 7,
      fault: 'entry 3 is not',
    });
    render(Audit);
    expect((await screen.findByTestId('audit-altered')).textContent).toContain('entry 3 is not');
    expect(screen.queryByTestId('audit-verified')).toBeNull();
  });

  it('says up to where it was verified', async () => {
    relay([[]], { verified: 7, verified_at: '2026-11-30T09:00:00Z', signed: 9, fault: '' });
    render(Audit);
    expect((await screen.findByTestId('audit-verified')).textContent).toContain('up to entry 7 at');
    await screen.findByText('Nothing was written down yet');
  });
});
