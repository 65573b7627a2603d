/** The dialog that puts a computer into a group. */
import { render, screen, within } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { account } from '../../state/account.svelte';
import { people } from '../people/people.svelte';
import ComputerGroup from './ComputerGroup.svelte';

const at = '2026-11-30T12:00:00Z';
const group = (id: string, path: string[], manages: boolean) => ({
  ...{ id, name: id, path, manages, created_at: at, computers: 0 },
  parent_id: path.at(-2) ?? '',
});

beforeEach(() => {
  people.groups = undefined;
  HTMLElement.prototype.showPopover ??= () => undefined; // happy-dom has no top layer
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith('/group')) return Response.json({ group_id: 'floor', name: 'floor' });
    if (!pathname.endsWith('/groups')) return Response.json({ status: 403 }, { status: 403 });
    const items = [
      group('site', ['site'], false),
      group('floor', ['site', 'floor'], true),
      group('room', ['site', 'floor', 'room'], true),
    ];
    return Response.json({ items, next: '' });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  account.person = undefined;
});

describe('the group of a computer', () => {
  // Rule: who manages groups in one group only chooses among those; the groups around are told by their names.
  it('is chosen among the groups that somebody manages', async () => {
    render(ComputerGroup, { id: 'c', onclose: () => undefined });
    const select = await screen.findByTestId<HTMLSelectElement>('computer-group');
    const choices = within(select)
      .getAllByRole<HTMLOptionElement>('option')
      .map(({ value, disabled }) => [value, disabled]);
    expect(choices).toEqual([
      ['', true],
      ['site', true],
      ['floor', false],
      ['room', false],
    ]);
    expect(select.value).toBe('floor');
    expect(screen.queryByRole('alert')).toBeNull();
  });
});
