/** Builds what only these tests need: programs on the screen, a bad network, and a NATS server. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export default function setup(): void {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const go = (...args: string[]): unknown => execFileSync('go', args, { cwd: root, stdio: 'inherit' });
  go('build', '-o', 'build/target', './console/e2e/target');
  go('build', '-o', 'build/peers-target', './console/e2e/bench/target');
  if (process.platform === 'linux') go('build', '-o', 'build/peers-link', './console/e2e/bench/link');
  go('build', '-o', 'build/nats-server', 'github.com/nats-io/nats-server/v2');
}
