import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Pointer } from './pointer';
import { Stage } from './stage';

let stage: Stage;
let pointer: Pointer;
let log: string[];
let box: { left: number; top: number; width: number; height: number };

// The remote screen is 1000 × 500; the picture lies at (100, 50), half as large.
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['requestAnimationFrame', 'cancelAnimationFrame', 'setTimeout', 'clearTimeout'],
  });
  log = [];
  box = { left: 100, top: 50, width: 500, height: 250 };
  stage = new Stage();
  stage.moveTo(document.body, 'screen');
  Object.defineProperty(stage.video, 'videoWidth', { value: 1000 });
  Object.defineProperty(stage.video, 'videoHeight', { value: 500 });
  stage.picture.getBoundingClientRect = () => box as DOMRect;
  const pixel = (p: { x: number; y: number }) =>
    `${Math.floor((p.x * 1000) / 65536)},${Math.floor((p.y * 500) / 65536)}`;
  pointer = new Pointer(stage, {
    move: (p) => log.push(`move ${pixel(p)}`),
    button: (b, isDown, p) => log.push(`${isDown ? 'down' : 'up'} ${b} ${pixel(p)}`),
    wheel: (dx, dy, p) => log.push(`wheel ${dx},${dy} ${pixel(p)}`),
    mouse: () => undefined,
  });
});
afterEach(() => {
  pointer.close();
  stage.close();
  vi.useRealTimers();
});

const taken = () => log.splice(0).join(' | ');
const frame = () => vi.advanceTimersToNextFrame();
function send(type: string, x: number, y: number, more: PointerEventInit = {}) {
  const init = {
    clientX: x,
    clientY: y,
    pointerType: 'mouse',
    pointerId: 1,
    bubbles: true,
    cancelable: true,
    ...more,
  };
  stage.picture.dispatchEvent(new PointerEvent(type, init));
}

describe('places', () => {
  it.each([
    ['the first pixel', 100, 50, '0,0'],
    ['the last pixel', 599.9, 299.9, '999,499'],
    ['beyond the right edge', 700, 400, '999,499'],
    ['beyond the left edge', 3, 4, '0,0'],
    ['the middle', 350, 175, '500,250'],
  ])('%s', (_name, x, y, pixel) => {
    send('pointermove', 300, 200);
    frame();
    taken();
    send('pointermove', x, y);
    frame();
    expect(taken()).toBe(`move ${pixel}`);
  });

  it('come back to the same pixel for every pixel of a row, zoomed and scrolled', () => {
    box = { left: -333.3, top: 7, width: 1500, height: 750 };
    for (let pixel = 0; pixel < 1000; pixel++) {
      const { x } = stage.locate(-333.3 + (pixel + 0.5) * 1.5, 10);
      expect(Math.floor((x * 1000) / 65536)).toBe(pixel);
    }
  });

  it('are nowhere without a picture, and no harm is done', () => {
    box = { left: 0, top: 0, width: 0, height: 0 };
    expect(stage.locate(10, 10)).toEqual({ x: 0, y: 0 });
  });
});

describe('moves', () => {
  it('are sent at once, and then at most once a frame, the newest', () => {
    send('pointermove', 110, 60);
    expect(taken()).toBe('move 20,20');
    send('pointermove', 120, 60);
    send('pointermove', 130, 60);
    expect(taken()).toBe('');
    frame();
    expect(taken()).toBe('move 60,20');
    frame();
    expect(taken()).toBe('');
  });

  it('are overtaken by a button', () => {
    send('pointermove', 110, 60);
    send('pointermove', 120, 60);
    send('pointerdown', 130, 60, { buttons: 1 });
    frame();
    expect(taken()).toBe('move 20,20 | down 0 60,20');
  });
});

describe('buttons', () => {
  it('are told apart by the mask, whichever event brings them', () => {
    send('pointerdown', 110, 60, { buttons: 1 });
    send('pointermove', 110, 60, { buttons: 3 });
    send('pointermove', 110, 60, { buttons: 2 });
    send('pointerup', 110, 60, { buttons: 0 });
    expect(taken()).toBe('down 0 20,20 | down 2 20,20 | up 0 20,20 | up 2 20,20');
  });

  it.each([
    [4, 1],
    [2, 2],
    [8, 3],
    [16, 4],
  ])('mask %i is button %i', (mask, button) => {
    send('pointerdown', 110, 60, { buttons: mask });
    expect(taken()).toBe(`down ${button} 20,20`);
  });

  it.each<[string, () => void]>([
    ['cancel', () => send('pointercancel', 110, 60)],
    ['blur', () => window.dispatchEvent(new Event('blur'))],
    ['close', () => pointer.close()],
  ])('are released on %s', (_name, leave) => {
    send('pointerdown', 110, 60, { buttons: 1 });
    taken();
    leave();
    expect(taken()).toBe('up 0 20,20');
  });

  it('are not sent while disabled', () => {
    pointer.enabled = false;
    send('pointerdown', 110, 60, { buttons: 1 });
    expect(taken()).toBe('');
  });
});

describe('the wheel', () => {
  it('collects small steps until there is something to send, and loses nothing', () => {
    let sum = 0;
    for (let i = 0; i < 100; i++) {
      const init = { deltaY: 1.3, clientX: 110, clientY: 60, bubbles: true, cancelable: true };
      stage.picture.dispatchEvent(new WheelEvent('wheel', init));
      frame();
    }
    frame();
    for (const line of log) sum += Number(/wheel 0,(\d+)/.exec(line)?.[1] ?? 0);
    expect(sum).toBe(Math.trunc(1.3 * 1.2 * 100));
  });
});

describe('fingers', () => {
  const touch = (type: string, x: number, y: number, pointerId = 1) =>
    send(type, x, y, { pointerType: 'touch', pointerId, buttons: type === 'pointerup' ? 0 : 1 });

  it('tap to click', () => {
    touch('pointerdown', 110, 60);
    touch('pointerup', 112, 60);
    expect(taken()).toBe('move 20,20 | down 0 24,20 | up 0 24,20');
  });

  it('press long for the right button', () => {
    touch('pointerdown', 110, 60);
    vi.advanceTimersByTime(500);
    touch('pointerup', 110, 60);
    expect(taken()).toBe('move 20,20 | down 2 20,20 | up 2 20,20');
  });

  it('drag with the left button where there is nothing to pan', () => {
    touch('pointerdown', 110, 60);
    touch('pointermove', 150, 60);
    touch('pointerup', 150, 60);
    expect(taken()).toBe('move 20,20 | down 0 20,20 | move 100,20 | up 0 100,20');
  });

  it('pan a picture that is larger than the page', () => {
    vi.spyOn(stage, 'overflows', 'get').mockReturnValue(true);
    const pan = vi.spyOn(stage, 'pan');
    touch('pointerdown', 110, 60);
    touch('pointermove', 150, 70);
    touch('pointerup', 150, 70);
    expect(taken()).toBe('move 20,20');
    expect(pan).toHaveBeenCalledWith(-40, -10);
  });

  it('scroll in twos', () => {
    touch('pointerdown', 110, 60, 1);
    touch('pointerdown', 150, 60, 2);
    touch('pointermove', 110, 100, 1);
    touch('pointermove', 150, 100, 2);
    frame();
    touch('pointerup', 110, 100, 1);
    touch('pointerup', 150, 100, 2);
    const sum = [...taken().matchAll(/wheel 0,(-?\d+)/g)].reduce((n, m) => n + Number(m[1]), 0);
    expect(sum).toBe(-96);
  });

  it('pinch to zoom, and click nothing', () => {
    const zoom = vi.spyOn(stage, 'zoomAt').mockImplementation(() => undefined);
    touch('pointerdown', 110, 60, 1);
    touch('pointerdown', 150, 60, 2);
    touch('pointermove', 190, 60, 2);
    touch('pointerup', 190, 60, 2);
    touch('pointerup', 110, 60, 1);
    expect(zoom).toHaveBeenCalledWith(2, 150, 60);
    expect(taken()).toBe('move 20,20');
  });

  it('let go of what they drag when the window loses focus', () => {
    touch('pointerdown', 110, 60);
    touch('pointermove', 150, 60);
    taken();
    window.dispatchEvent(new Event('blur'));
    expect(taken()).toContain('up 0');
  });
});
