// How a relay is named, http(s)://host[:port][/path], read as protocol/address
// reads it in Go: both are held to protocol/testdata/addresses.json.

export interface Address {
  readonly text: string; // in the one form that can be compared
  readonly secure: boolean;
  readonly host: string; // IPv6 without brackets
}

const MAX = 512;
const REST = /^(\[[^\]/]*\]|[^:/[\]]*)(?::([0-9]{1,5}))?((?:\/[0-9A-Za-z._~-]+)*)\/*$/;
const NAME = /^[0-9a-z_]([0-9a-z_-]{0,61}[0-9a-z_])?(\.[0-9a-z_]([0-9a-z_-]{0,61}[0-9a-z_])?)*$/;
const NUMBER = /^([0-9]+|0x[0-9a-f]*)$/;
const IPV4 = /^(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}$/;
const ZONE = /^[0-9A-Za-z._~-]{1,32}$/;

// parseAddress reads an address; one without a scheme is https.
export function parseAddress(given: string): Address | undefined {
  let rest = given.trim();
  if (new TextEncoder().encode(rest).length > MAX) return undefined;
  let secure = true;
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(rest);
  if (scheme) {
    const name = scheme[1]?.toLowerCase();
    if (name !== 'https' && name !== 'http') return undefined;
    secure = name === 'https';
    rest = rest.slice(scheme[0].length);
  }
  const parts = REST.exec(rest);
  if (!parts) return undefined;
  const [, authority = '', port = '', path = ''] = parts;
  const host = authority.startsWith('[') ? ip6(authority.slice(1, -1)) : hostName(authority);
  if (host === undefined) return undefined;
  const number = Number(port);
  if (port !== '' && (number < 1 || number > 65535)) return undefined;
  if (path.split('/').some((part) => part === '.' || part === '..')) return undefined;
  const written = host.includes(':') ? `[${host.replace('%', '%25')}]` : host;
  const shown = port === '' || number === (secure ? 443 : 80) ? '' : `:${String(number)}`;
  const text = `${secure ? 'https' : 'http'}://${written}${shown}${path}`;
  return text.length > MAX ? undefined : { text, secure, host };
}

// isLoopback: the machine itself, by what it is called.
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    (IPV4.test(host) && host.startsWith('127.'))
  );
}

// isExposed: what goes there can be read and changed on the way.
export function isExposed(address: Address): boolean {
  return !address.secure && !isLoopback(address.host);
}

function hostName(text: string): string | undefined {
  let host = text.toLowerCase();
  if (/[^\0-\x7f]/.test(text)) {
    // The browser's own IDN; what it would make of other characters is refused before.
    if (/[\0-\x20"#%/:<>?@[\\\]^`{|}]/.test(text)) return undefined;
    const url = URL.parse(`http://${text}`);
    if (!url) return undefined;
    host = url.hostname;
  }
  if (host.endsWith('.')) host = host.slice(0, -1);
  if (host.length > 253 || !NAME.test(host)) return undefined;
  if (!NUMBER.test(host.slice(host.lastIndexOf('.') + 1))) return host;
  return IPV4.test(host) && host.split('.').every((part) => Number(part) < 256) ? host : undefined;
}

function ip6(text: string): string | undefined {
  const at = text.indexOf('%');
  const bare = at < 0 ? text : text.slice(0, at);
  if (!/^[0-9A-Fa-f:.]+$/.test(bare) || !bare.includes(':')) return undefined;
  const host = URL.parse(`http://[${bare}]`)?.hostname.slice(1, -1);
  if (host === undefined) return undefined;
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (at < 0) return mapped ? ip4(mapped[1], mapped[2]) : host;
  const rest = text.slice(at + 1);
  const zone = rest.startsWith('25') ? rest.slice(2) : rest; // RFC 6874
  return mapped || !ZONE.test(zone) ? undefined : `${host}%${zone}`;
}

function ip4(high = '0', low = '0'): string {
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
}
