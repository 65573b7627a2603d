import { describe, expect, it, vi } from 'vitest';
import { age, delaysOf, delaysTold, Tally } from './delays';
import { PresentationDelay } from './presentation';
import type { ViewerStats } from './stats';

const stats = (more: object) => ({ decoded: 0, jitterMs: 0, decodeMs: 0, ...more }) as ViewerStats;
const nothing = { captureUs: 0, convertUs: 0, encodeUs: 0, queueUs: 0, roundTripUs: 0 };

describe('delays', () => {
  it('of an agent that measures nothing are unknown, and not zero', () => {
    const { network, shown, ...rest } = delaysTold(nothing);
    expect([network, shown, ...Object.values(rest)]).toEqual(Array(7).fill(undefined));
    expect(age(delaysTold(nothing))).toBeUndefined();
  });

  it('make a sum of what is known', () => {
    const told = delaysTold({
      ...nothing,
      encodeUs: 9000,
      roundTripUs: 40_000,
      queueUs: 1500,
      decodeUs: 2000,
    });
    expect(told).toMatchObject({ encode: 9, network: 21.5, decode: 2 });
    expect(age(told)).toBeCloseTo(32.5);
  });

  it('of a picture that stands still are those of the network alone', () => {
    const still = delaysOf(stats({ roundTripMs: 8, agent: nothing }));
    expect(still).toEqual({ ...delaysTold(nothing), network: 4 });
    expect(age(still)).toBeUndefined();
  });
});

describe('a tally', () => {
  it('tells means weighed by pictures, once', () => {
    const tally = new Tally();
    tally.add(stats({ decoded: 30, jitterMs: 1, decodeMs: 4 }));
    expect(tally.lacksShown).toBe(true);
    tally.add(stats({ decoded: 10, jitterMs: 5, decodeMs: 8, shownMs: 12 }));
    tally.add(stats({ shownMs: 12 }));
    expect([tally.lacksShown, tally.looks]).toEqual([false, 3]);
    expect(tally.take()).toEqual({ frames: 40, waitUs: 2000, decodeUs: 5000, shownUs: 12_000 });
    expect([tally.take(), tally.looks, tally.lacksShown]).toEqual([undefined, 0, true]);
  });
});

describe('when a picture is shown', () => {
  type Callback = (now: number, frame: { presentationTime: number; expectedDisplayTime: number }) => void;
  function screen() {
    let due: Callback | undefined;
    const video = {
      requestVideoFrameCallback: vi.fn((callback: Callback) => ((due = callback), 7)),
      cancelVideoFrameCallback: vi.fn(() => (due = undefined)),
    };
    const show = (ms: number) => {
      const callback = due;
      due = undefined;
      callback?.(0, { presentationTime: 100, expectedDisplayTime: 100 + ms });
    };
    return { shown: new PresentationDelay(video as unknown as HTMLVideoElement), video, show };
  }

  it('is measured for one picture, or for all while somebody looks', () => {
    const { shown, video, show } = screen();
    show(5);
    expect(shown.take()).toBeUndefined();
    shown.next();
    shown.next();
    show(20);
    show(40);
    expect(video.requestVideoFrameCallback).toHaveBeenCalledOnce();
    expect(shown.take()).toBe(20);
    shown.every = true;
    show(10);
    show(30);
    show(-10); // in the past: it says nothing, and counts for nothing
    expect(shown.take()).toBe(20);
    shown.every = false;
    show(10);
    expect(video.cancelVideoFrameCallback).toHaveBeenCalledOnce();
    expect(shown.take()).toBeUndefined();
  });

  it('is asked of the next picture when one has its place in the past', () => {
    const { shown, show } = screen();
    shown.next();
    show(-1_500);
    expect(shown.take()).toBeUndefined();
    show(20);
    show(40);
    expect(shown.take()).toBe(20);
  });

  it('is unknown where the browser does not tell', () => {
    const shown = new PresentationDelay({} as HTMLVideoElement);
    shown.every = true;
    shown.next();
    shown.close();
    expect(shown.take()).toBeUndefined();
  });
});
