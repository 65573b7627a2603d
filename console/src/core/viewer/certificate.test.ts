import { describe, expect, it } from 'vitest';
import { FakePeerConnection } from '../fakes';
import {
  answer,
  connect,
  controls,
  digest,
  introduce,
  peer,
  relay,
  settle,
  start,
  viewer,
} from './viewer-fixture';

const other = new TextEncoder().encode('another certificate');

// Rule: after DTLS the certificate is compared with the one that was verified, before
// the session counts as connected.
describe('the certificate of the connection', () => {
  async function meet(prepare: (pc: FakePeerConnection) => void) {
    await start();
    prepare(peer());
    await answer(await introduce());
    peer().become('connected');
    peer().say({ case: 'ready', value: { scopes: [], desktop: 'theirs' } });
    await settle();
  }
  const certificate = (fingerprint: string, fingerprintAlgorithm = 'sha-256') =>
    new Map<string, unknown>([
      ['t', { id: 't', type: 'transport', remoteCertificateId: 'c' }],
      ['c', { id: 'c', type: 'certificate', fingerprint, fingerprintAlgorithm }],
      ['own', { id: 'own', type: 'certificate', fingerprint: 'EE', fingerprintAlgorithm: 'sha-256' }],
    ]);

  it.each<[string, (pc: FakePeerConnection) => void]>([
    ['by the transport', () => undefined],
    ['by the statistics', (pc) => Object.assign(pc, { chain: undefined, stats: certificate(digest) })],
    [
      'by them in small letters',
      (pc) => Object.assign(pc, { chain: [], stats: certificate(digest.toLowerCase()) }),
    ],
    ['by the browser alone, where neither says', (pc) => (pc.chain = undefined)],
  ])('is that of the answer, %s', async (_name, prepare) => {
    await meet(prepare);
    expect(viewer.state.name).toBe('connected');
    expect(viewer.scopes).toEqual([]); // what was said meanwhile has been read
  });

  it.each<[string, (pc: FakePeerConnection) => void]>([
    ['by the transport', (pc) => (pc.chain = [other])],
    ['beside the right one', (pc) => (pc.chain = [other, FakePeerConnection.certificate])],
    ['after the right one', (pc) => (pc.chain = [FakePeerConnection.certificate, other])],
    ['by the statistics', (pc) => Object.assign(pc, { chain: undefined, stats: certificate('EE') })],
    ['by another hash', (pc) => Object.assign(pc, { chain: undefined, stats: certificate(digest, 'sha-1') })],
  ])('is another, %s: the session ends as forged', async (_name, prepare) => {
    await meet(prepare);
    expect(viewer.state.name).toBe('forged');
    expect(viewer.scopes).not.toEqual([]); // nothing that was said was read
    expect(peer().closed).toBe(true);
    expect(peer().channel('control').sent).toHaveLength(0);
    expect(relay().of('closeSession')).toHaveLength(1);
  });

  it('is asked for once, and nothing is sent before', async () => {
    await start();
    let ready = () => {};
    const stats = new Promise<Map<string, unknown>>((done) => (ready = () => done(certificate(digest))));
    Object.assign(peer(), { chain: undefined, getStats: () => stats });
    await answer(await introduce());
    peer().become('connected');
    peer().become('connected');
    viewer.setStream({ maxFps: 5 });
    await settle();
    expect(viewer.state.name).toBe('connecting');
    expect(controls('stream')).toHaveLength(0);
    ready();
    await settle();
    expect(viewer.state.name).toBe('connected');
    expect(controls('stream')).toHaveLength(1);
  });

  it('is named alone in what the browser is given', async () => {
    await connect();
    expect(peer().remote?.match(/fingerprint/gi)).toHaveLength(1);
    expect(peer().remote).toContain(digest);
  });
});
