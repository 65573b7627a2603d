/**
 * Prestart begins the session that a tab's address asks for, before the pages are there,
 * shows its picture in the empty page, and hands it over to them (handover.ts).
 */
import { signedIn } from '../relay/api';
import { Live } from '../relay/live';
import { liveUrl } from '../relay/url';
import { rememberedQuality } from '../viewer/quality';
import type { ViewerQuery } from '../viewer/query';
import { Viewer } from '../viewer/viewer';
import type { Handover } from './handover';

/** How long the pages wait for the first picture: running them would delay it by 100 ms. */
const PATIENCE = 400; // ms
const UNDER_WAY = new Set(['relay', 'asking', 'connecting', 'connected', 'live']);

/** Returns when it is time for the pages: there is a picture, or something to say. */
export function prestart(handover: Handover, computerId: string, query: ViewerQuery): Promise<void> {
  const live = new Live(liveUrl(), { signedIn, ...handover.takeSocket() });
  const viewer = new Viewer(live, { computerId, ...query, offer: handover.takeOffer(query) });
  viewer.setStream(rememberedQuality());
  viewer.moveTo(document.body, '');
  handover.begun(live, viewer, computerId);
  // A socket that was handed off is for the way to the first picture.
  const settle = () => {
    const { name } = viewer.state;
    if (name === 'live' || !UNDER_WAY.has(name)) live.moveToOwnSocket();
  };
  viewer.on('picture', settle);
  viewer.on('state', settle);
  return new Promise((enough) => {
    viewer.on('picture', enough);
    viewer.on('state', ({ name }) => UNDER_WAY.has(name) || enough());
    live.on('state', (state) => state === 'open' || enough());
    setTimeout(enough, PATIENCE);
  });
}
