/** The addresses of the console. */

export type Route =
  | { page: 'computers' }
  | { page: 'computer'; id: string }
  | { page: 'view'; id: string }
  | { page: 'journal' }
  | { page: 'sign-in' }
  | { page: 'owner' }
  | { page: 'recover' }
  | { page: 'account' }
  | { page: 'unknown' };

export function parse(path: string): Route {
  const parts = path.split('/').filter((p) => p !== '');
  const [first, id, last] = parts;
  if (parts.length === 0) return { page: 'computers' };
  if (first === 'computers' && id !== undefined && /^[\w-]{1,64}$/.test(id)) {
    if (parts.length === 2) return { page: 'computer', id };
    if (parts.length === 3 && last === 'view') return { page: 'view', id };
  }
  if (parts.length === 1)
    switch (first) {
      case 'journal':
      case 'sign-in':
      case 'owner':
      case 'recover':
      case 'account':
        return { page: first };
    }
  return { page: 'unknown' };
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
