import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { announceFrom } from './announce';
import { FakeSocket } from '../fakes';
import { Live } from '../relay/live';
import { viewedComputer, viewerLink } from '../../routes';

let codecs = ['video/AV1'];
vi.stubGlobal('RTCRtpReceiver', {
  getCapabilities: () => ({ codecs: codecs.map((mimeType) => ({ mimeType })) }),
});
let live: Live | undefined;
announceFrom(() => live, viewedComputer);
const said = () => FakeSocket.last.of('prepareSession').map((b) => b.value.computerId);

beforeEach(() => {
  codecs = ['video/VP8', 'video/AV1'];
  FakeSocket.all = [];
  live = new Live('ws://relay', { open: FakeSocket.open });
  FakeSocket.last.greet();
});
afterEach(() => {
  live?.close();
  document.body.replaceChildren();
});

let computers = 0;
/** A link with something in it, to a computer of its own. */
function link(href: string = viewerLink(`c${++computers}`).href) {
  const a = document.createElement('a');
  a.href = href;
  const inside = a.appendChild(document.createElement('span'));
  a.addEventListener('click', (event) => event.preventDefault());
  document.body.append(a);
  const press = (pointerType: string) =>
    inside.dispatchEvent(new PointerEvent('pointerdown', { pointerType, bubbles: true }));
  return { press, click: () => inside.click(), id: `c${computers}` };
}

it('announces a session once, when its link is pressed', () => {
  const { press, click, id } = link();
  press('mouse');
  expect(said()).toEqual([id]);
  click();
  expect(said()).toEqual([id]);
});

it('announces by a click alone, as a keyboard makes it, and for one that only looks', () => {
  const { click } = link(viewerLink('looked-at', true).href);
  click();
  expect(said()).toEqual(['looked-at']);
});

it('does not take a finger that is about to scroll for a click', () => {
  const { press, click, id } = link();
  press('touch');
  expect(said()).toEqual([]);
  click();
  expect(said()).toEqual([id]);
});

it('announces nothing for other links, and where another picture would be needed', () => {
  link('/computers/c1').click();
  link('https://elsewhere.example/computers/c1/view').click();
  codecs = ['video/VP8'];
  link().click();
  expect(said()).toEqual([]);
});

it('is silent while there is no relay', () => {
  live = undefined;
  link().click();
  expect(FakeSocket.last.sent).toEqual([]);
});
