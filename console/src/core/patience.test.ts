import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Patience } from './patience';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('patience', () => {
  // Rule: a page loaded while the database was away comes by itself when it is back.
  it('tries until it is done, and then no more', async () => {
    let away = true;
    const work = vi.fn(async () => {
      if (away) throw new Error('503');
    });
    const heard: boolean[] = [];
    const patience = new Patience(work, (trouble) => heard.push(trouble));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(work.mock.calls.length).toBeGreaterThan(10);
    expect(work.mock.calls.length).toBeLessThan(40);
    expect(heard).not.toContain(false);
    away = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(heard.at(-1)).toBe(false);
    const { length } = work.mock.calls;
    window.dispatchEvent(new Event('online'));
    patience.now();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(work).toHaveBeenCalledTimes(length);
  });

  it('does not wait when the network is back', async () => {
    const work = vi.fn(async () => Promise.reject(new Error('away')));
    const patience = new Patience(work, () => undefined);
    await vi.advanceTimersByTimeAsync(0);
    window.dispatchEvent(new Event('online'));
    expect(work).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(0);
    patience.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(work).toHaveBeenCalledTimes(2);
  });
});
