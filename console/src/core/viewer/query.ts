/** What the address of a viewer asks for: ?mode=view, ?codec=VP9, ?ice=relay. */
import type { OfferOptions } from './offer';

export interface Asked extends OfferOptions {
  viewOnly: boolean;
}

export function asked(query: URLSearchParams): Asked {
  const codec = query.get('codec');
  return {
    viewOnly: query.get('mode') === 'view',
    ...(query.get('ice') === 'relay' && { relayOnly: true }),
    ...(codec && { codec }),
  };
}
