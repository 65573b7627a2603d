/** What the address of a viewer asks for: ?mode=view, ?codec=VP9, ?ice=relay. */
import type { OfferOptions } from './offer';

export interface ViewerQuery extends OfferOptions {
  viewOnly: boolean;
}

export function viewerQuery(params: URLSearchParams): ViewerQuery {
  const codec = params.get('codec');
  return {
    viewOnly: params.get('mode') === 'view',
    ...(params.get('ice') === 'relay' && { relayOnly: true }),
    ...(codec && { codec }),
  };
}
