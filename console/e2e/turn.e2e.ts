/** Behind a firewall: the session goes through the relay's TURN on UDP, TCP and TLS. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { videoShows } from './harness/browser.ts';
import { connect, disconnect, live } from './harness/pages.ts';
import { tempDir } from './harness/programs.ts';
import { until } from './harness/proc.ts';
import { wire, type Transport } from './harness/rtc.ts';
import { blue, cell, green } from './harness/target.ts';
import { World, type WorldOptions } from './harness/world.ts';

/** A certificate authority of the test's own, and a certificate for 127.0.0.1. */
function certificate(): { cert: string; key: string } {
  const dir = tempDir('tls');
  const cert = join(dir, 'cert.pem');
  const key = join(dir, 'key.pem');
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
    ],
    { stdio: 'pipe' },
  );
  return { cert, key };
}

function options(transport: Transport): WorldOptions {
  if (transport !== 'tls') return { ice: transport };
  const { cert, key } = certificate();
  return {
    ice: transport,
    relay: { scheme: 'https', args: ['--tls-cert', cert, '--tls-key', key] },
    agent: { args: ['--ca', cert] },
    // The browser has no way to be given one more authority; the agent has, above.
    browserArgs: ['--ignore-certificate-errors'],
  };
}

describe.each(['udp', 'tcp', 'tls'] as const)('a session relayed over TURN on %s', (transport) => {
  it('shows the screen and takes keys', async () => {
    const w = await World.start(options(transport));
    try {
      const view = await connect(w.context, w.page);
      await live(view);
      // A modifier: while a busy machine looks at the picture, the page cannot say every time that a letter is held.
      const shift = cell(50);
      await view.keyboard.down('Shift');
      await videoShows(view, shift.x, shift.y, green);
      await view.keyboard.up('Shift');
      await videoShows(view, shift.x, shift.y, blue);

      const path = await wire(view);
      expect(path.localType).toBe('relay');
      expect(path.relayProtocol).toBe(transport);
      expect(path.framesDecoded).toBeGreaterThan(0);

      await disconnect(view);
      await w.page.goto(w.relay.url + '/journal');
      const row = w.page.getByTestId('session').first();
      await until('the journal to say so', async () => /Relayed/.test(await row.innerText()));
      expect(w.errors).toEqual([]);
    } catch (e) {
      throw new Error(`${String(e)}\n${w.logs()}`, { cause: e });
    } finally {
      await w.stop();
    }
  });
});
