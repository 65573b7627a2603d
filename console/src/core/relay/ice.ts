/** STUN and TURN servers as the relay names them. */
export interface Servers {
  urls: string[];
  username: string;
  credential: string;
}

/** What a browser knows of servers, without what else a message has. */
export function rtcServers(servers: Servers[]): RTCIceServer[] {
  return servers.map(({ urls, username, credential }) => ({ urls, username, credential }));
}
