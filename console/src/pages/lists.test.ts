/** Every page that lists something, with a relay that answers or does not. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fireEvent, render, screen } from '@testing-library/svelte';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ComputerSchema } from '../core/wire/oriel/v1/live_pb';
import { organization } from '../state/organization.svelte';
import { quotas } from './people/quotas.svelte';
import { journal } from './journal/journal.svelte';
import { ownKeys } from './account/keys.svelte';
import { emails } from '../state/emails.svelte';
import { people } from './people/people.svelte';
import { policies } from './policies/policies.svelte';
import { signIns } from './account/signins.svelte';
import Account from './account/Account.svelte';
import EmailAddresses from './account/EmailAddresses.svelte';
import Approvals from './people/Approvals.svelte';
import Audit from './audit/Audit.svelte';
import Grants from './people/Grants.svelte';
import Groups from './people/Groups.svelte';
import InventoryView from './computer/InventoryView.svelte';
import Journal from './journal/Journal.svelte';
import Keys from './people/Keys.svelte';
import Organizations from './people/Organizations.svelte';
import MemberComputers from './people/MemberComputers.svelte';
import MemberReach from './people/MemberReach.svelte';
import OwnKeys from './account/OwnKeys.svelte';
import People from './people/People.svelte';
import Policies from './policies/Policies.svelte';
import Quotas from './people/Quotas.svelte';
import Roles from './people/Roles.svelte';
import Teams from './people/Teams.svelte';
import WhoReaches from './computer/WhoReaches.svelte';

// What each page reads, and what it says where there is nothing; '': it shows nothing then.
const pages: Record<
  string,
  { page: typeof Audit; reads: string; none: string; props?: Record<string, never> }
> = {
  'account/Account': { page: Account, reads: '/sign-ins', none: '' },
  'audit/Audit': { page: Audit, reads: '/audit', none: 'Nothing was written down yet' },
  'computer/InventoryView': {
    ...{ page: InventoryView as unknown as typeof Audit, reads: '/computers/c1/inventory', none: '' },
    props: { computer: create(ComputerSchema, { id: 'c1' }) as never },
  },
  'computer/WhoReaches': {
    ...{ page: WhoReaches as unknown as typeof Audit, reads: '/computers/c1/access', none: 'Nobody' },
    props: { computer: create(ComputerSchema, { id: 'c1' }), onclose: () => undefined } as never,
  },
  'journal/Journal': { page: Journal, reads: '/sessions', none: 'No sessions yet' },
  'people/Approvals': { page: Approvals, reads: '/approvals', none: 'Nobody is asking' },
  'people/Grants': { page: Grants, reads: '/grants', none: 'No grants yet' },
  'people/Groups': { page: Groups, reads: '/groups', none: 'No groups yet' },
  'people/Keys': { page: Keys, reads: '/api-keys', none: 'No keys yet' },
  'account/EmailAddresses': { page: EmailAddresses, reads: '/me/email-addresses', none: '' },
  'account/OwnKeys': { page: OwnKeys, reads: '/me/api-keys', none: '' },
  'people/MemberComputers': {
    ...{ page: MemberComputers as unknown as typeof Audit, reads: '/people/p1/computers' },
    ...{ none: 'They can reach no computer', props: { id: 'p1' } as never },
  },
  'people/MemberReach': {
    ...{ page: MemberReach as unknown as typeof Audit, reads: '/grants', none: '' },
    props: { member: { id: 'p1', role: 'viewer', teams: [] } } as never,
  },
  'people/Organizations': { page: Organizations, reads: '/organizations', none: '' },
  'people/People': { page: People, reads: '/people', none: 'Nobody is here yet' },
  'people/Quotas': { page: Quotas, reads: '/organization/quotas', none: '' },
  'people/Roles': { page: Roles, reads: '/roles', none: 'Roles' },
  'people/Teams': { page: Teams, reads: '/teams', none: 'No teams yet' },
  'policies/Policies': { page: Policies, reads: '/policies/organization/-', none: '' },
};

/** A relay that answers with empty lists, but where it fails. */
function relay() {
  const state = { failing: '' };
  vi.stubGlobal('fetch', async (request: Request) => {
    const path = new URL(request.url).pathname.replace('/api/v1', '');
    if (path === state.failing)
      return Response.json({ status: 503, code: 'unavailable', title: 'x', detail: 'x' }, { status: 503 });
    if (path.startsWith('/policies/'))
      return Response.json({ version: 0, settings: {}, inherited: { settings: {}, origins: {} } });
    if (path.endsWith('/inventory')) return Response.json({}, { status: 404 });
    return Response.json({ items: [], next: '', verified: 0, signed: 0, fault: '' });
  });
  return state;
}

beforeEach(() => {
  HTMLElement.prototype.showPopover ??= () => undefined; // happy-dom has no top layer
  people.members = people.teams = people.groups = people.grants = people.keys = people.approvals = undefined;
  people.roles = [];
  organization.all = [];
  quotas.mine = {};
  ownKeys.all = signIns.all = policies.current = emails.all = undefined;
  journal.loaded = false;
});
afterEach(() => vi.unstubAllGlobals());

const empty = (container: HTMLElement) =>
  [...container.querySelectorAll('.none:not(.failed) h2')].map((title) => title.textContent);

describe('a page that lists', () => {
  // Rule: a list that could not be loaded says so, offers to try again, and never says that there is nothing.
  it.each(Object.entries(pages))(
    '%s says that it could not load',
    async (name, { page, reads, none, props }) => {
      const state = relay();
      state.failing = reads;
      const { container } = render(page, props ?? {});
      if (name === 'journal/Journal') {
        await journal.reading.again(); // as the live connection's first word has it do
        journal.loaded = true;
      }
      const said = await screen.findByTestId('not-loaded');
      expect(said.getAttribute('role')).toBe('alert');
      expect(said.textContent).toContain('This could not be loaded');
      expect(empty(container)).toEqual([]);
      state.failing = '';
      await fireEvent.click(screen.getByTestId('try-again'));
      await vi.waitFor(() => expect(screen.queryByTestId('not-loaded')).toBeNull());
      await vi.waitFor(() => expect(empty(container)[0] ?? '').toBe(none));
    },
  );

  // Rule: none is forgotten: a page with a list is in the table above, and none reads by itself and lets only a note tell.
  it('is here, each of them', () => {
    const listing: string[] = [];
    for (const file of readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.svelte')) continue;
      const source = readFileSync(join(import.meta.dirname, file), 'utf8');
      const name = relative('.', file).replace('.svelte', '');
      if (/Reading\.of\(|new Reading\(|<Listed/.test(source)) listing.push(name);
      if (name === 'shell/Switcher') continue; // a menu, which a note suits
      expect(source, `${name}: read with Reading`).not.toMatch(/^ {2}\w+\.load\w*\([^)]*\)\.catch\(/m);
    }
    expect(listing.sort()).toEqual(Object.keys(pages).sort());
  });
});
