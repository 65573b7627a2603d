/** Builds what only these tests need: the program on the screen, and a NATS server. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export default function setup(): void {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const go = (...args: string[]): unknown => execFileSync('go', args, { cwd: root, stdio: 'inherit' });
  go('build', '-o', 'build/target', './console/e2e/target');
  go('build', '-o', 'build/nats-server', 'github.com/nats-io/nats-server/v2');
}
