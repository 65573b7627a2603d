// The budget: what the first page loads is at most 100 kB of script, gzipped, the viewer
// is a chunk of its own, and neither is in more than 16 files, each of which a new tab has
// to ask for before it shows anything.
import { readFile, rm } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const LIMIT = 100_000;
const FILES = 16;
const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(await readFile(new URL('.vite/manifest.json', dist), 'utf8'));

const files = (key, seen = new Set()) => {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const other of manifest[key].imports ?? []) files(other, seen);
  return seen;
};
const size = async (keys) => {
  let total = 0;
  for (const key of keys)
    total += gzipSync(await readFile(new URL(manifest[key].file, dist)), { level: 9 }).length;
  return total;
};

// The page that most see first is loaded beside what shows it.
const first = files('src/pages/computers/Computers.svelte', files('src/app.ts', files('index.html')));
const view = files('src/pages/viewer/View.svelte');
const [firstSize, viewSize] = [await size(first), await size([...view].filter((key) => !first.has(key)))];
console.log(
  `first page ${(firstSize / 1000).toFixed(1)} kB, viewer ${(viewSize / 1000).toFixed(1)} kB more (script, gzipped)`,
);
if (first.has('src/pages/viewer/View.svelte')) throw new Error('the viewer is part of the first page');
const tab = files(
  'src/pages/viewer/View.svelte',
  files('src/app.ts', files('src/core/boot/prestart.ts', files('index.html'))),
);
console.log(`first page ${first.size} files, a viewer's tab ${tab.size}`);
if (Math.max(first.size, tab.size) > FILES)
  throw new Error(`a page is in more than ${FILES} files; group what is shared`);
if (firstSize > LIMIT) throw new Error(`the first page is over its budget of ${LIMIT / 1000} kB`);
// The manifest was made for this script alone.
await rm(new URL('.vite', dist), { recursive: true });
