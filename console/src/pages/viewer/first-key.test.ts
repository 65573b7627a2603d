import { create } from '@bufbuild/protobuf';
import { render, screen } from '@testing-library/svelte';
import { afterEach, expect, it } from 'vitest';
import { ComputerSchema } from '../../core/wire/oriel/v1/live_pb';
import { computers } from '../../state/computers.svelte';
import FirstKey from './FirstKey.svelte';
import type { Session } from './session.svelte';

function said(knownAs: string | undefined): string | undefined {
  const session = { newKey: { key: new Uint8Array(32), knownAs } };
  const { unmount } = render(FirstKey, { session: session as unknown as Session, name: 'New' });
  const text = screen.queryByTestId('key-known')?.textContent.trim();
  unmount();
  return text;
}
afterEach(() => computers.forget());

// Rule: a key that this browser knows of another entry is shown with that entry's name.
it('says of which computer the key was known', () => {
  computers.byId.set('c9', create(ComputerSchema, { id: 'c9', name: 'Till 3' }));
  expect(said('c9')).toContain('that of Till 3.');
  expect(said('gone')).toContain('no longer in your list (gone)');
  expect(said(undefined)).toBeUndefined();
});
