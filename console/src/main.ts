import '@fontsource-variable/onest/wght.css';
import './styles/tokens.css';
import './styles/base.css';
import { ahead } from './core/boot/ahead';
import { asked } from './core/viewer/query';
import { parse } from './core/route';

// This script runs as soon as it is there: what begins a session waits neither for the
// rest of the document nor for its style sheet, as other modules do (14 ms).
const parsed = new Promise<void>((done) => {
  if (document.readyState !== 'loading') return done();
  document.addEventListener('DOMContentLoaded', () => done(), { once: true });
});

async function start(): Promise<void> {
  const route = parse(location.pathname);
  if (route.page === 'view') {
    // Before anything else; without it the pages do it themselves, later.
    const early = import('./core/boot/early').catch(() => undefined);
    const wanted = asked(new URLSearchParams(location.search));
    ahead.begin(wanted);
    await parsed;
    await (await early)?.begin(route.id, wanted);
  }
  const pages = await import('./app');
  await parsed;
  pages.start();
}

// A relay that was renewed this moment, or a network that went: said by the page itself,
// which has words when nothing else does, and nobody stays in a session unable to end it.
start().catch(async (error: unknown) => {
  console.error('pages', error);
  ahead.drop();
  await parsed;
  document.getElementById('unloaded')?.removeAttribute('hidden');
});
