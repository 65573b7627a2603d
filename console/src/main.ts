import '@fontsource-variable/onest/wght.css';
import './styles/tokens.css';
import './styles/base.css';
import { Handover } from './core/boot/handover';
import { viewerQuery } from './core/viewer/query';
import { parse, routes } from './routes';

// This script runs as soon as it is there: what begins a session waits neither for the
// rest of the document nor for its style sheet, as other modules do (14 ms).
const parsed = new Promise<void>((done) => {
  if (document.readyState !== 'loading') return done();
  document.addEventListener('DOMContentLoaded', () => done(), { once: true });
});

const handover = new Handover();

async function start(): Promise<void> {
  const { page, id } = parse(location.pathname);
  if (page === 'view') {
    // Before anything else; without it the pages do it themselves, later.
    const loading = import('./core/boot/prestart').catch(() => undefined);
    const query = viewerQuery(new URLSearchParams(location.search));
    handover.begin(query);
    await parsed;
    await (await loading)?.prestart(handover, id, query);
  } else {
    routes[page].load().catch(() => undefined); // beside what shows it
  }
  const pages = await import('./app');
  await parsed;
  pages.start(handover);
}

// A relay that was renewed this moment, or a network that went: said by the page itself,
// which has words when nothing else does, and nobody stays in a session unable to end it.
start().catch(async (error: unknown) => {
  console.error('pages', error);
  handover.drop();
  await parsed;
  document.getElementById('unloaded')?.removeAttribute('hidden');
});
