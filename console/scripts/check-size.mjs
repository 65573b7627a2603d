// The budget: what the first page loads is at most 100 kB of script, gzipped, the viewer
// is a chunk of its own, and neither is in more than 16 files, each of which a new tab has
// to ask for before it shows anything. What a viewer's tab runs before it offers is at most
// 66 kB, which leaves no room for what the pages are made with, and the document names all
// of it: a file that only another one names is asked for once that has arrived.
import { readFile, rm } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const LIMIT = 100_000;
const BEGIN = 66_000;
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
const begin = files('src/core/boot/prestart.ts', files('index.html'));
const beginSize = await size(begin);
console.log(`before the offer ${begin.size} files, ${(beginSize / 1000).toFixed(1)} kB`);
if (beginSize > BEGIN) throw new Error(`what runs before the offer is over its budget of ${BEGIN / 1000} kB`);
const page = await readFile(new URL('index.html', dist), 'utf8');
const late = [...begin].map((key) => manifest[key].file).filter((file) => !page.includes(file));
if (late.length > 0)
  throw new Error(`the document does not name ${late.join(', ')}, which a session begins with`);
// The manifest was made for this script alone.
await rm(new URL('.vite', dist), { recursive: true });
