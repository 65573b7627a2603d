import '@fontsource-variable/onest/wght.css';
import './styles/tokens.css';
import './styles/base.css';
import { ahead } from './core/ahead';
import { asked } from './core/asked';
import { parse } from './core/route';

async function start(): Promise<void> {
  const route = parse(location.pathname);
  if (route.page === 'view') {
    // Before anything else; without it the pages do it themselves, later.
    const early = import('./core/early').catch(() => undefined);
    const wanted = asked(new URLSearchParams(location.search));
    ahead.begin(wanted);
    await (await early)?.begin(route.id, wanted);
  }
  (await import('./app')).start();
}

// A relay that was renewed this moment, or a network that went: said by the page itself,
// which has words when nothing else does, and nobody stays in a session unable to end it.
start().catch((error: unknown) => {
  console.error('pages', error);
  ahead.drop();
  document.getElementById('unloaded')?.removeAttribute('hidden');
});
