/** Where `make build` and the tests' set-up put the programs under test and the ones beside them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const build = fileURLToPath(new URL('../../../build/', import.meta.url));

export type Binary = 'oriel-relay' | 'oriel-agent' | 'target' | 'peers-target' | 'peers-link' | 'nats-server';

/** ORIEL_BUILD names the folder of another build of relay and agent, to compare with. */
export function binary(name: Binary): string {
  const path = join((name.startsWith('oriel-') && process.env['ORIEL_BUILD']) || build, name);
  if (!existsSync(path)) throw new Error(`${path} is not there: run make build`);
  return path;
}
