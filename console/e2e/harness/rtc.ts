/**
 * What a test does to the page's RTCPeerConnection from outside, so that the
 * product needs no switches for tests: force a relay-only policy over one
 * transport, and read the transport's own counters.
 */
import type { BrowserContext, Page } from 'playwright-core';

export type Transport = 'udp' | 'tcp' | 'tls';

type Kept = { __peers: RTCPeerConnection[] };

/** Keeps every peer connection; with `relay`, only that way of TURN is used. */
export async function watchPeers(context: BrowserContext, relay?: Transport): Promise<void> {
  await context.addInitScript((transport: Transport | null) => {
    const kept = window as unknown as Kept;
    kept.__peers = [];
    const wanted = (url: string): boolean => {
      if (transport === 'tls') return url.startsWith('turns:');
      return url.startsWith('turn:') && url.includes(`transport=${transport}`);
    };
    const forced = (config: RTCConfiguration): RTCConfiguration =>
      transport
        ? {
            ...config,
            iceTransportPolicy: 'relay',
            iceServers: (config.iceServers ?? [])
              .map((s) => ({ ...s, urls: [s.urls].flat().filter(wanted) }))
              .filter((s) => s.urls.length > 0),
          }
        : config;
    const Native = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Native {
      constructor(config: RTCConfiguration = {}) {
        super(forced(config));
        kept.__peers.push(this);
      }
      override setConfiguration(config: RTCConfiguration = {}): void {
        super.setConfiguration(forced(config));
      }
    };
  }, relay ?? null);
}

export type Wire = {
  received: number;
  sent: number;
  localType: string;
  /** of the TURN server, where it is relayed */
  localUrl: string;
  relayProtocol: string;
  framesDecoded: number;
  codec: string;
};

/** Counters of the page's newest peer connection. */
export async function wire(page: Page): Promise<Wire> {
  return page.evaluate(async () => {
    const peers = (window as unknown as Kept).__peers;
    const pc = peers[peers.length - 1];
    const w: Wire = {
      received: 0,
      sent: 0,
      localType: '',
      localUrl: '',
      relayProtocol: '',
      framesDecoded: 0,
      codec: '',
    };
    if (!pc) return w;
    const stats = await pc.getStats();
    const byId = (id: unknown): Record<string, unknown> | undefined =>
      typeof id === 'string' ? (stats.get(id) as Record<string, unknown> | undefined) : undefined;
    stats.forEach((s: Record<string, unknown>) => {
      if (s['type'] === 'transport') {
        w.received = Number(s['bytesReceived'] ?? 0);
        w.sent = Number(s['bytesSent'] ?? 0);
        const local = byId(byId(s['selectedCandidatePairId'])?.['localCandidateId']);
        w.localType = String(local?.['candidateType'] ?? '');
        w.localUrl = String(local?.['url'] ?? '');
        w.relayProtocol = String(local?.['relayProtocol'] ?? '');
      }
      if (s['type'] === 'inbound-rtp' && s['kind'] === 'video') {
        w.framesDecoded = Number(s['framesDecoded'] ?? 0);
        w.codec = String(byId(s['codecId'])?.['mimeType'] ?? '');
      }
    });
    return w;
  });
}

/** The page's newest peer connection has been looked at once more: the viewer knows its way. */
export async function looked(page: Page): Promise<void> {
  await page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const pc = (window as unknown as Kept).__peers.at(-1);
        if (!pc) return reject(new Error('no peer connection'));
        const native = pc.getStats.bind(pc);
        pc.getStats = async (selector) => {
          const report = await native(selector);
          pc.getStats = native;
          setTimeout(resolve);
          return report;
        };
      }),
  );
}
