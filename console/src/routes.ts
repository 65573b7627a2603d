/**
 * The pages of the console: the address of each, what it needs before it can be shown, and
 * where it lies. A page is loaded when it is needed; `:id` is a computer's or a member's.
 */
import type { Component } from 'svelte';
import type { Handover } from './core/boot/handover';
import type { Live } from './core/relay/live';

export type PageName =
  | 'computers'
  | 'computer'
  | 'view'
  | 'journal'
  | 'account'
  | 'people'
  | 'member-computers'
  | 'teams'
  | 'roles'
  | 'grants'
  | 'approvals'
  | 'groups'
  | 'keys'
  | 'policies'
  | 'organization'
  | 'audit'
  | 'sign-in'
  | 'owner'
  | 'recover'
  | 'join'
  | 'sign-up'
  | 'email'
  | 'docs'
  | 'unknown';

/**
 * What has to be there first: 'sign-in', somebody signed in; 'connection', the live socket
 * alone, as the relay decides who may; 'nobody', nobody signed in yet, who is goes on to
 * where they wanted; 'nothing'.
 */
type Needs = 'sign-in' | 'connection' | 'nobody' | 'nothing';

interface Page {
  /** Undefined: no address leads there. */
  path?: string;
  needs: Needs;
  /** Shown alone, without navigation. */
  alone?: boolean;
  load: () => Promise<{ default: Component<never> }>;
}

/** What every page is given, to take what it uses. */
export interface PageProps {
  /** '' where the address has none. */
  id: string;
  live: Live;
  handover: Handover;
}

export const routes: Record<PageName, Page> = {
  computers: { path: '/', needs: 'sign-in', load: () => import('./pages/computers/Computers.svelte') },
  computer: {
    path: '/computers/:id',
    needs: 'sign-in',
    load: () => import('./pages/computer/Computer.svelte'),
  },
  view: {
    path: '/computers/:id/view',
    needs: 'connection',
    alone: true,
    load: () => import('./pages/viewer/View.svelte'),
  },
  journal: { path: '/journal', needs: 'sign-in', load: () => import('./pages/journal/Journal.svelte') },
  account: { path: '/account', needs: 'sign-in', load: () => import('./pages/account/Account.svelte') },
  people: { path: '/people', needs: 'sign-in', load: () => import('./pages/people/People.svelte') },
  'member-computers': {
    path: '/people/:id/computers',
    needs: 'sign-in',
    load: () => import('./pages/people/MemberComputers.svelte'),
  },
  teams: { path: '/people/teams', needs: 'sign-in', load: () => import('./pages/people/Teams.svelte') },
  roles: { path: '/people/roles', needs: 'sign-in', load: () => import('./pages/people/Roles.svelte') },
  grants: { path: '/people/access', needs: 'sign-in', load: () => import('./pages/people/Grants.svelte') },
  approvals: {
    path: '/people/approvals',
    needs: 'sign-in',
    load: () => import('./pages/people/Approvals.svelte'),
  },
  groups: { path: '/people/groups', needs: 'sign-in', load: () => import('./pages/people/Groups.svelte') },
  keys: { path: '/people/keys', needs: 'sign-in', load: () => import('./pages/people/Keys.svelte') },
  policies: {
    path: '/policies',
    needs: 'sign-in',
    load: () => import('./pages/policies/Policies.svelte'),
  },
  organization: {
    path: '/organization',
    needs: 'sign-in',
    load: () => import('./pages/people/Organization.svelte'),
  },
  audit: { path: '/audit', needs: 'sign-in', load: () => import('./pages/audit/Audit.svelte') },
  'sign-in': { path: '/sign-in', needs: 'nobody', load: () => import('./pages/sign-in/SignIn.svelte') },
  owner: { path: '/owner', needs: 'nobody', load: () => import('./pages/sign-in/Owner.svelte') },
  join: { path: '/join', needs: 'nothing', load: () => import('./pages/sign-in/Join.svelte') },
  'sign-up': { path: '/sign-up', needs: 'nothing', load: () => import('./pages/sign-in/SignUp.svelte') },
  email: { path: '/email', needs: 'nothing', load: () => import('./pages/sign-in/ConfirmEmail.svelte') },
  recover: { path: '/recover', needs: 'nothing', load: () => import('./pages/sign-in/Recover.svelte') },
  docs: { path: '/api/docs', needs: 'nothing', load: () => import('./pages/docs/Docs.svelte') },
  unknown: { needs: 'nothing', load: () => import('./pages/shell/NotFound.svelte') },
};

export interface Route {
  page: PageName;
  /** '' where the address has none. */
  id: string;
}

const ID = /^[\w-]{1,64}$/;
const partsOf = (path: string) => path.split('/').filter((part) => part !== '');

export function parse(path: string): Route {
  const parts = partsOf(path);
  for (const [page, { path: pattern }] of Object.entries(routes)) {
    if (pattern === undefined) continue;
    const wanted = partsOf(pattern);
    const id = parts[wanted.indexOf(':id')] ?? '';
    const fits = (part: string, at: number) => (part === ':id' ? ID.test(id) : part === parts[at]);
    if (wanted.length === parts.length && wanted.every(fits)) return { page: page as PageName, id };
  }
  return { page: 'unknown', id: '' };
}

/** The computer whose viewer a path leads to, if it does. */
export function viewedComputer(path: string): string | undefined {
  const { page, id } = parse(path);
  return page === 'view' ? id : undefined;
}

/**
 * What a link to a computer's viewer has: it opens a tab of its own, which with `opener`
 * shares the process of the page that was clicked in, and a click leads to a picture
 * 350 ms sooner (900 without, on a machine where noVNC, in an open page, takes 570); and
 * which begins with that page's socket (relay/handoff.ts).
 * Both are ours; the relay's Cross-Origin-Opener-Policy parts them from any other site.
 */
export function viewerLink(id: string, viewOnly = false) {
  return {
    href: `/computers/${id}/view${viewOnly ? '?mode=view' : ''}`,
    target: '_blank',
    rel: 'opener',
  } as const;
}
