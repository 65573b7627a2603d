/** Where `make build` and `make test` put the programs under test. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const build = fileURLToPath(new URL('../../../build/', import.meta.url));

export function binary(name: 'oriel-relay' | 'oriel-agent' | 'target' | 'nats-server'): string {
  const path = build + name;
  if (!existsSync(path)) throw new Error(`${path} is not there: run make build`);
  return path;
}
