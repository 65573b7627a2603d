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

void start();
