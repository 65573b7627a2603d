// Empties dist, except for the placeholder without which go:embed does not compile.
import { readdir, rm } from 'node:fs/promises';

const dist = new URL('../dist/', import.meta.url);
for (const name of await readdir(dist))
  if (name !== '.keep') await rm(new URL(name, dist), { recursive: true });
