import { render } from '@testing-library/svelte';
import { flushSync, tick } from 'svelte';
import { expect, it, vi } from 'vitest';
import App from './App.svelte';
import { Handover } from './core/boot/handover';
import { FakeSocket } from './core/fakes';
import { Live } from './core/relay/live';
import NotFound from './pages/shell/NotFound.svelte';
import { routes } from './routes';
import { account } from './state/account.svelte';
import { router } from './state/route.svelte';

// Rule: a list has the viewer ready a second after it is shown, so that the first click in
// it waits for nothing.
it('shows the viewer with the click, the first time too', async () => {
  vi.useFakeTimers();
  vi.spyOn(account, 'load').mockResolvedValue();
  const page = { default: NotFound as never };
  vi.spyOn(routes.computers, 'load').mockResolvedValue(page);
  vi.spyOn(routes.view, 'load').mockResolvedValue(page);
  account.live = new Live('ws://relay', { open: FakeSocket.open });
  account.status = 'in';
  const { container, unmount } = render(App, { handover: new Handover() });
  await vi.advanceTimersByTimeAsync(1_000);
  await tick();
  router.go('/computers/c1/view');
  flushSync();
  expect(container.querySelector('nav')).toBeNull();
  expect(container.querySelector('main.night h1')).not.toBeNull();
  unmount();
  account.live.close();
  vi.useRealTimers();
});
