/** The address of the live socket of the relay that served this page. */
export function liveUrl(): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live/v1`;
}
