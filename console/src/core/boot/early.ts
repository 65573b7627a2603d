/**
 * Begins the session that a tab's address asks for, before the pages are there, shows
 * its picture in the empty page, and hands it over to them (ahead.ts).
 */
import { ahead, liveUrl } from './ahead';
import { signedIn } from '../relay/api';
import type { Asked } from '../viewer/query';
import { Live } from '../relay/live';
import { rememberedPicture } from '../viewer/picture';
import { Viewer } from '../viewer/viewer';

/** How long the pages wait for the first picture: running them would delay it by 100 ms. */
const PATIENCE = 400; // ms
const UNDER_WAY = new Set(['relay', 'asking', 'connecting', 'connected', 'live']);

/** Returns when it is time for the pages: there is a picture, or something to say. */
export function begin(computerId: string, asked: Asked): Promise<void> {
  const live = new Live(liveUrl(), { signedIn, lent: ahead.takeLent() });
  const viewer = new Viewer(live, { computerId, ...asked });
  viewer.setStream(rememberedPicture());
  viewer.moveTo(document.body, '');
  ahead.begun(live, viewer, computerId);
  // A lent socket is for the way to the first picture.
  const settle = () => {
    const { name } = viewer.state;
    if (name === 'live' || !UNDER_WAY.has(name)) live.settle();
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
