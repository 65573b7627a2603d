import { afterEach, beforeEach, expect, it } from 'vitest';
import { Stage } from './stage';

let stage: Stage;

beforeEach(() => {
  stage = new Stage();
  stage.moveTo(document.body, 'screen');
  Object.defineProperty(stage.root, 'clientWidth', { value: 4000 });
  Object.defineProperty(stage.root, 'clientHeight', { value: 3000 });
});
afterEach(() => stage.close());

/** What the browser says when it shows pictures of another size. */
function decode(width: number, height: number): void {
  Object.defineProperty(stage.video, 'videoWidth', { value: width, configurable: true });
  Object.defineProperty(stage.video, 'videoHeight', { value: height, configurable: true });
  stage.video.dispatchEvent(new Event('resize'));
}

const place = () => `${stage.picture.style.width} ${stage.picture.style.height}`;
const crisp = () => stage.picture.classList.contains('is-crisp');

it('enlarges the half of a screen to all of it, and blurs that', () => {
  stage.setScreen({ width: 1367, height: 769 });
  decode(1367, 769);
  expect([place(), crisp()]).toEqual(['1367px 769px', true]);
  decode(684, 385);
  expect(stage.size).toEqual({ width: 1367, height: 769 });
  expect([place(), crisp()]).toEqual(['1367px 769px', false]);
  decode(1367, 769);
  expect([place(), crisp()]).toEqual(['1367px 769px', true]);
});

it('takes a picture of any other size for what it is', () => {
  decode(800, 600); // before the agent has said what its screen is
  expect([stage.size, crisp()]).toEqual([{ width: 800, height: 600 }, true]);
  stage.setScreen({ width: 1600, height: 1000 }); // another screen, whose picture is on its way
  expect([place(), crisp()]).toEqual(['800px 600px', true]);
  decode(1600, 1000);
  expect([place(), crisp()]).toEqual(['1600px 1000px', true]);
});

it('finds the same place in the half as in the whole', () => {
  stage.setScreen({ width: 1000, height: 500 });
  stage.picture.getBoundingClientRect = () => ({ left: 0, top: 0, width: 1000, height: 500 }) as DOMRect;
  decode(1000, 500);
  const whole = stage.locate(501, 250);
  decode(500, 250);
  expect(stage.locate(501, 250)).toEqual(whole);
});
