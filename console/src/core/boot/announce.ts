/**
 * Tells a computer that a session is about to be asked for, as soon as somebody presses
 * on a link to its viewer: it makes the first picture while the page is on its way.
 */
import type { Live } from '../relay/live';

const OFTEN = 500; // ms; a press and its click are one

/** viewed: the computer whose viewer a path leads to, if it does. */
export function announceFrom(
  live: () => Live | undefined,
  viewed: (path: string) => string | undefined,
): void {
  let [last, at] = ['', -OFTEN];
  const announce = (event: MouseEvent) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link?.origin !== location.origin) return;
    const computerId = viewed(link.pathname);
    if (computerId === undefined || event.button > 1 || !usual()) return;
    if (computerId === last && event.timeStamp - at < OFTEN) return;
    if (live()?.send({ case: 'prepareSession', value: { computerId } }))
      [last, at] = [computerId, event.timeStamp];
  };
  // A finger may be about to scroll.
  const press = (event: PointerEvent) => event.pointerType === 'mouse' && announce(event);
  document.addEventListener('pointerdown', press, { capture: true });
  document.addEventListener('click', announce, { capture: true });
}

/** Whether this browser takes what a computer makes before it is told what the browser takes. */
function usual(): boolean {
  const { codecs = [] } = RTCRtpReceiver.getCapabilities('video') ?? {};
  return codecs.some((codec) => codec.mimeType.toLowerCase() === 'video/av1');
}
