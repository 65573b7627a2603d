import { render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Lack } from '../../core/wire/oriel/v1/channel_pb';
import type { Session } from './session.svelte';
import Signs from './Signs.svelte';

function show(lacks: Lack[]): void {
  const session = { state: { name: 'live' }, unsteady: false, denied: 0, dropped: 0, lacks };
  render(Signs, { session: session as unknown as Session, connection: 'open' });
}
const signs = () => screen.queryAllByTestId('lack').map((e) => e.textContent.trim());

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

// Rule: what the computer's display lacks is said in a sentence, and quietly.
describe('what a display lacks', () => {
  it('is said for a while', async () => {
    show([Lack.DAMAGE, Lack.SHARED_MEMORY, 99 as Lack]);
    await vi.advanceTimersByTimeAsync(0);
    expect(signs()).toEqual([
      'The picture may be late: the X server does not say what changes.',
      'Pictures take longer: the agent shares no memory with the X server.',
    ]);
    await vi.advanceTimersByTimeAsync(13_000);
    expect(signs()).toEqual([]);
  });

  it('stays where nothing can be done', async () => {
    show([Lack.INPUT]);
    await vi.advanceTimersByTimeAsync(13_000);
    expect(signs()).toEqual(['This computer can only be watched: its X server has no XTEST extension.']);
  });

  it('is nothing, mostly', async () => {
    show([]);
    await vi.advanceTimersByTimeAsync(0);
    expect(signs()).toEqual([]);
  });
});

// Rule: nobody is told that a session goes on without the relay while it goes through it.
describe('a relay that is away', () => {
  it('is said to matter where the session goes through it', () => {
    const live = { state: { name: 'live' }, unsteady: false, denied: 0, dropped: 0, lacks: [] };
    const said = (session: object) => {
      const { unmount } = render(Signs, { session: session as unknown as Session, connection: 'lost' });
      const text = screen.getByTestId('sign').textContent;
      unmount();
      return text;
    };
    expect(said({ ...live, stats: { path: 'direct' } })).toContain('goes on without it');
    expect(said(live)).toContain('Connection to the relay lost'); // its way is not known yet
    expect(said({ ...live, stats: { path: 'relayed' } })).toContain('goes through a relay');
    expect(
      said({ ...live, state: { name: 'resuming' }, stats: { path: 'relayed' }, moving: true }),
    ).toContain('moving to another relay');
    expect(said({ ...live, state: { name: 'resuming' }, crowded: true })).toContain(
      'limit for relayed sessions',
    );
  });
});
