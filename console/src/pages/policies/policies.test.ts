import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, expect, it, vi } from 'vitest';
import { policies, type ObjectPolicy } from './policies.svelte';
import PolicyForm from './PolicyForm.svelte';

afterEach(() => vi.unstubAllGlobals());

// Rule: what is not said is shown as inherited, with whose it is; saved is what is said alone.
it('shows what is inherited and saves what is said', async () => {
  const sent: unknown[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    if (request.method === 'PUT') sent.push(await request.json());
    return new Response(JSON.stringify({}), { headers: { 'Content-Type': 'application/json' } });
  });
  const policy: ObjectPolicy = {
    kind: 'group',
    id: 'g1',
    version: 3,
    settings: { session_minutes: 30 },
    inherited: { settings: { scopes: ['view'] }, origins: { scopes: { kind: 'organization', id: '' } } },
  };
  policies.place = { kind: 'group', id: 'g1' };
  policies.current = policy;
  render(PolicyForm, { policy, nameOf: () => 'Acme' });
  expect(screen.getByText('Inherited from Acme: See the screen')).toBeTruthy();
  expect(screen.queryByText('Allowed networks')).toBeNull();
  await fireEvent.click(screen.getByRole('checkbox', { name: /^What sessions may do/ }));
  await fireEvent.click(screen.getByRole('button', { name: 'Save' }));
  await expect
    .poll(() => sent)
    .toEqual([{ version: 3, settings: { session_minutes: 30, scopes: ['view'] } }]);
});
