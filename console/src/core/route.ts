/** The addresses of the console. */

export type Route =
  | { page: 'computers' }
  | { page: 'computer'; id: string }
  | { page: 'view'; id: string }
  | { page: 'journal' }
  | { page: 'sign-in' }
  | { page: 'owner' }
  | { page: 'unknown' };

export function parse(path: string): Route {
  const parts = path.split('/').filter((p) => p !== '');
  const [first, id, last] = parts;
  if (parts.length === 0) return { page: 'computers' };
  if (first === 'computers' && id !== undefined && /^[\w-]{1,64}$/.test(id)) {
    if (parts.length === 2) return { page: 'computer', id };
    if (parts.length === 3 && last === 'view') return { page: 'view', id };
  }
  if (parts.length === 1 && (first === 'journal' || first === 'sign-in' || first === 'owner'))
    return { page: first };
  return { page: 'unknown' };
}
