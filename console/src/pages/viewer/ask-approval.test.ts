import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, expect, it, vi } from 'vitest';
import type { Approval } from './approval.svelte';
import AskApproval from './AskApproval.svelte';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const one = (outcome: Approval['outcome'], id = 'a1', computer = 'c1'): Approval => ({
  id,
  person: { kind: 'person', id: 'p1' },
  computer: { kind: 'computer', id: computer },
  reason: 'The printer is stuck',
  asked_at: '2026-11-30T12:00:00Z',
  outcome,
  until: '2126-11-30T12:00:00Z',
});

/** A relay that has these approvals, and keeps what it is asked. */
function relay(own: { all: Approval[] }): unknown[] {
  const asked: unknown[] = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    let answer: object = { items: own.all, next: '' };
    if (request.method === 'POST') {
      asked.push(await request.json());
      own.all = [...own.all, one('asked')];
      answer = one('asked');
    }
    return new Response(JSON.stringify(answer), { headers: { 'Content-Type': 'application/json' } });
  });
  return asked;
}

// Rule: who needs an approval asks for it where they were refused, and is let in there once it is
// given; what was approved before, or for another computer, lets nobody in.
it('asks, and connects when somebody approves', async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  const own = {
    all: [one('approved', 'old'), one('approved', 'other', 'c2'), one('asked', 'another', 'c2')],
  };
  const asked = relay(own);
  const onapproved = vi.fn();
  render(AskApproval, { computer: 'c1', onapproved });
  const reason = screen.getByLabelText('What do you need it for?');
  await fireEvent.input(reason, { target: { value: ' The printer is stuck ' } });
  await fireEvent.click(screen.getByRole('button', { name: 'Ask for approval' }));
  await screen.findByText(/^You asked/);
  expect(asked).toEqual([{ computer: 'c1', reason: 'The printer is stuck' }]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(onapproved).not.toHaveBeenCalled();
  own.all = [...own.all.slice(0, -1), one('approved')];
  await vi.advanceTimersByTimeAsync(5_000);
  expect(onapproved).toHaveBeenCalledOnce();
});

// Rule: who asked before, and comes again, waits on; a refusal is said, and they can ask again.
it('waits on for what was asked before, and says when it is refused', async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  const own = { all: [one('asked')] };
  relay(own);
  render(AskApproval, { computer: 'c1', onapproved: vi.fn() });
  await screen.findByText(/^You asked/);
  own.all = [one('refused')];
  await vi.advanceTimersByTimeAsync(5_000);
  expect(screen.getByText(/^Your request was refused/)).toBeTruthy();
  expect(screen.getByRole('button', { name: 'Ask for approval' })).toBeTruthy();
});
