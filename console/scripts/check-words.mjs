// A word or a colour in a component is a fault: words belong into the catalogue
// (messages/en.json), colours into styles/tokens.css. A message that nothing
// says is a fault too.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'svelte/compiler';

const root = new URL('../', import.meta.url).pathname;
const SPOKEN = new Set(['aria-label', 'title', 'alt', 'placeholder', 'label']);
const COLOUR =
  /#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|oklch|color)\(|:\s*(?:white|black|red|gr[ae]y|green|blue)\b/i;
const LETTERS = /\p{L}{2,}/u;
// What means the same in every language.
const SAME = new Set(['SHA-256']);

const faults = [];
const said = new Set();

function walk(node, file, inAttribute) {
  if (node === null || typeof node !== 'object') return;
  if (Array.isArray(node)) return node.forEach((n) => walk(n, file, inAttribute));
  if (node.type === 'StyleDirective') return;
  if (node.type === 'Attribute') return walk(node.value, file, SPOKEN.has(node.name) ? 'spoken' : 'other');
  if (node.type === 'Text' && inAttribute !== 'other') {
    const words = node.data.trim();
    if (LETTERS.test(words) && !SAME.has(words)) faults.push(`${file}: literal words: ${words}`);
    return;
  }
  for (const [key, value] of Object.entries(node)) if (key !== 'parent') walk(value, file, inAttribute);
}

for (const path of await readdir(join(root, 'src'), { recursive: true })) {
  if (!/\.(svelte|ts|css)$/.test(path) || /paraglide|core\/wire|\.test\.ts$/.test(path)) continue;
  const file = join('src', path);
  const source = await readFile(join(root, file), 'utf8');
  for (const [, name] of source.matchAll(/\bm\.(\w+)/g)) said.add(name);
  if (path.endsWith('.svelte')) walk(parse(source, { modern: true }).fragment, file);
  const style = path.endsWith('.css') ? source : (/<style>([^]*)<\/style>/.exec(source)?.[1] ?? '');
  if (path !== 'styles/tokens.css')
    for (const line of style.split('\n'))
      if (COLOUR.test(line)) faults.push(`${file}: literal colour: ${line.trim()}`);
}

const { $schema: _, ...messages } = JSON.parse(await readFile(join(root, 'messages/en.json'), 'utf8'));
for (const name of Object.keys(messages))
  if (!said.has(name)) faults.push(`messages/en.json: nothing says ${name}`);

for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
