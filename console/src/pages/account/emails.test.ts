/** Adding an e-mail address: on the account page, and behind the link in the mail. */
import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { account } from '../../state/account.svelte';
import { emails, type EmailAddress } from '../../state/emails.svelte';
import { notes } from '../../state/notes.svelte';
import ConfirmEmail from '../sign-in/ConfirmEmail.svelte';
import EmailAddresses from './EmailAddresses.svelte';

const at = '2026-11-30T12:00:00Z';
let asked: { method: string; path: string; body: unknown }[];
let refuse: boolean;
let addresses: EmailAddress[];

beforeEach(() => {
  asked = [];
  refuse = false;
  emails.all = undefined;
  emails.token = '';
  const waits = {
    ...{ id: 'w1', email: 'new@example.org', last: false },
    ...{ confirmed: false, created_at: at, expires_at: at },
  };
  const others = [
    { id: 'c1', email: 'ada@example.org', confirmed: true, created_at: at, last: false },
    { id: 'c2', email: 'ada@example.com', confirmed: true, created_at: at, last: false },
  ];
  addresses = [...others, waits];
  vi.stubGlobal('fetch', async (request: Request) => {
    const path = new URL(request.url).pathname.replace('/api/v1/me/email-addresses', '');
    const text = await request.text();
    if (request.method !== 'GET')
      asked.push({ method: request.method, path, body: text && JSON.parse(text) });
    if (refuse)
      return Response.json({ status: 403, code: 'email_link', title: 'x', detail: 'x' }, { status: 403 });
    if (request.method === 'DELETE') {
      addresses = addresses.filter(({ id }) => `/${id}` !== path);
      if (addresses.length === 1) addresses = addresses.map((one) => ({ ...one, last: true }));
      return new Response(null, { status: 204 });
    }
    if (path === '/confirm')
      return Response.json({
        id: 'c3',
        email: 'new@example.org',
        confirmed: true,
        created_at: at,
        last: false,
      });
    if (request.method === 'POST') return Response.json({ minutes: 60 }, { status: 202 });
    return Response.json({ items: addresses, next: '' });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  account.status = 'unknown';
  history.replaceState(null, '', '/');
});

describe('the account page', () => {
  // Rule: an address that waits is told from those that are confirmed; its link is sent once more, or it is taken back.
  it('shows what waits, sends it again and takes it back', async () => {
    render(EmailAddresses);
    const rows = await screen.findAllByTestId('email-address');
    expect(rows.map((row) => row.dataset.confirmed)).toEqual(['true', 'true', 'false']);
    await fireEvent.click(screen.getByTestId('send-again'));
    await vi.waitFor(() => expect(notes.list.at(-1)?.text).toContain('within 60 minutes'));
    await vi.waitFor(() => expect(screen.getByTestId('take-back')).not.toHaveProperty('disabled', true));
    await fireEvent.click(screen.getByTestId('take-back'));
    await vi.waitFor(() => expect(screen.getAllByTestId('email-address')).toHaveLength(2));
    expect(asked).toEqual([
      { method: 'POST', path: '', body: { email: 'new@example.org' } },
      { method: 'DELETE', path: '/w1', body: '' },
    ]);
  });

  // Rule: a confirmed address is removed once that is confirmed; the last one stays.
  it('removes a confirmed one, but not the last', async () => {
    HTMLElement.prototype.showPopover ??= () => undefined; // happy-dom has no top layer
    addresses = addresses.filter(({ confirmed }) => confirmed);
    render(EmailAddresses);
    await fireEvent.click((await screen.findAllByTestId('remove-email'))[0] ?? document.body);
    expect(asked).toEqual([]);
    await fireEvent.click(screen.getByTestId('confirm'));
    await vi.waitFor(() => expect(screen.getAllByTestId('email-address')).toHaveLength(1));
    expect(asked).toEqual([{ method: 'DELETE', path: '/c1', body: '' }]);
    expect(screen.queryByTestId('remove-email')).toBeNull();
  });
});

describe('the link in the mail', () => {
  // Rule: the link is used by who is signed in and says so, and by nobody else; its token leaves the address bar and is there still after the sign-in.
  it('is confirmed after its person signed in', async () => {
    history.replaceState(null, '', '/email#s3cret');
    account.status = 'out';
    const first = render(ConfirmEmail);
    expect(location.hash).toBe('');
    expect(screen.getByTestId('sign-in-first').textContent).toContain('Sign in first');
    expect(screen.getByRole('link').getAttribute('href')).toBe('/sign-in?next=/email');
    first.unmount();
    account.status = 'in';
    render(ConfirmEmail);
    expect(asked).toEqual([]);
    await fireEvent.submit(screen.getByRole('button').closest('form') ?? document.body);
    await vi.waitFor(() => expect(location.pathname).toBe('/account'));
    expect(asked).toEqual([{ method: 'POST', path: '/confirm', body: { token: 's3cret' } }]);
    expect(notes.list.at(-1)?.text).toContain('new@example.org is confirmed');
  });

  it('says who may use it where it is refused', async () => {
    history.replaceState(null, '', '/email#other');
    account.status = 'in';
    refuse = true;
    render(ConfirmEmail);
    await fireEvent.submit(screen.getByRole('button').closest('form') ?? document.body);
    expect((await screen.findByTestId('problem')).textContent).toContain('Sign in to the account that asked');
  });

  it('says that it is not whole', () => {
    history.replaceState(null, '', '/email');
    account.status = 'in';
    render(ConfirmEmail);
    expect(screen.getByTestId('problem').textContent).toContain('Open the link in the mail');
  });
});
