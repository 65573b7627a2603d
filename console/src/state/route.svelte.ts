/** Where in the console we are: the address bar, read and written. */

import { parse, type Route } from '../routes';

class Router {
  route = $state<Route>(parse(location.pathname));
  query = $state(new URLSearchParams(location.search));

  constructor() {
    window.addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#follow(event));
  }

  go(address: string, replace = false): void {
    history[replace ? 'replaceState' : 'pushState'](null, '', address);
    this.#read();
    if (!replace) scrollTo(0, 0);
  }

  /** Puts values into the query without a new history entry; an empty one is left out. */
  keep(values: Record<string, string>): void {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(values)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    const text = query.toString();
    history.replaceState(null, '', location.pathname + (text && `?${text}`));
    this.query = query;
  }

  /** Where to go after signing in: an address of this console, whatever the query says. */
  get next(): string {
    const wanted = this.query.get('next') ?? '/';
    const known = /^\/(?![/\\])/.test(wanted) && parse(wanted.split('?')[0] ?? '/').page;
    return !known || known === 'unknown' || known === 'sign-in' ? '/' : wanted;
  }

  #read(): void {
    this.route = parse(location.pathname);
    this.query = new URLSearchParams(location.search);
  }

  // A plain click on a link into the console changes the page without loading it anew.
  #follow(event: MouseEvent): void {
    const other = event.defaultPrevented || event.button !== 0;
    if (other || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname) return; // a place on this page
    if (parse(link.pathname).page === 'unknown' && link.pathname !== '/') return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const router = new Router();
