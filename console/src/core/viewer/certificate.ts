/**
 * The certificate at the other end of a DTLS connection. The browser compares it with the
 * answer that it was given; here it is compared with what was verified, so that a picture
 * does not hang on how the browser reads a line.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesOf } from './sdp';
import { sameBytes } from './pins';

/**
 * Reports whether the other end of a connection has the certificate with this SHA-256, and
 * no other. At once where the transport says so; else (Firefox before 152) the statistics
 * are asked. Where neither knows, the browser's own comparison has to do, which is with
 * a sealed description (sdp.ts).
 */
export function authenticated(pc: RTCPeerConnection, fingerprint: Uint8Array): boolean | Promise<boolean> {
  const transport = pc.sctp?.transport as Partial<RTCDtlsTransport> | undefined;
  const chain = transport?.getRemoteCertificates?.() ?? [];
  // Agents send one. In a chain anybody's certificate may stand beside that of whose key it is.
  if (chain.length > 0) return chain.every((der) => sameBytes(sha256(new Uint8Array(der)), fingerprint));
  return fromStatistics(pc, fingerprint);
}

async function fromStatistics(pc: RTCPeerConnection, fingerprint: Uint8Array): Promise<boolean> {
  const report = await pc.getStats();
  const shown: boolean[] = [];
  report.forEach((entry: { type: string; remoteCertificateId?: string }) => {
    if (entry.type !== 'transport' || entry.remoteCertificateId === undefined) return;
    const certificate = report.get(entry.remoteCertificateId) as
      { fingerprint?: string; fingerprintAlgorithm?: string } | undefined;
    const { fingerprint: digest = '', fingerprintAlgorithm = '' } = certificate ?? {};
    shown.push(fingerprintAlgorithm === 'sha-256' && sameBytes(bytesOf(digest), fingerprint));
  });
  return shown.every((same) => same);
}
