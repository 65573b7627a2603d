/** The rules of the console's rooms (design.md, 1 and 7), read off the sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = import.meta.dirname;
const sources = new Map(
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(ts|svelte)$/.test(path) && !/^(paraglide|core\/wire)\//.test(path))
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
);

const IMPORT = /\b(?:from|import)\s*\(?\s*'(\.[^']*)'/g;

/** The files that a file imports, types as well. */
function imports(path: string): string[] {
  const specifiers = [...(sources.get(path) ?? '').matchAll(IMPORT)].map(([, specifier = '']) => specifier);
  return specifiers.map((specifier) => {
    const target = normalize(join(dirname(path), specifier));
    return [target, `${target}.ts`].find((file) => sources.has(file)) ?? target;
  });
}

const isTest = (path: string) => /\.test\.ts$|^core\/(fakes|seeded)\.ts$|-fixture\.ts$/.test(path);
const product = [...sources.keys()].filter((path) => !isTest(path));
const within = (room: string) => product.filter((path) => path.startsWith(room));

/** The way from a file to itself, if there is one. */
function circle(start: string): string[] | undefined {
  const seen = new Set<string>();
  const from = (path: string, way: string[]): string[] | undefined => {
    for (const next of imports(path)) {
      if (next === start) return [...way, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = from(next, [...way, next]);
      if (found) return found;
    }
    return undefined;
  };
  return from(start, [start]);
}

/** Which of the imports that files have lie where they must not. */
function strays(files: string[], forbidden: RegExp): string[] {
  return files.flatMap((file) =>
    imports(file)
      .filter((target) => forbidden.test(target))
      .map((target) => `${file} imports ${target}`),
  );
}

describe('core/', () => {
  // Rule: no file of core/ imports itself by way of others, not even for a type.
  it('has no circle', () => {
    expect(within('core/').map(circle).filter(Boolean)).toEqual([]);
  });

  // Rule: core/ knows no framework and no page; in it boot/ stands above viewer/ and
  // channels/, these above relay/, and relay/ above what all share.
  it.each([
    ['core/', /^(?!core\/)/],
    ['core/viewer/', /^core\/boot\//],
    ['core/relay/', /^core\/(boot|viewer|channels)\//],
  ])('%s imports nothing from above', (room, above) => {
    expect(strays(within(room), above)).toEqual([]);
  });
  it('shares nothing that knows its rooms', () => {
    const shared = within('core/').filter((path) => path.split('/').length === 2);
    expect(strays(shared, /^core\/(boot|viewer|relay|channels)\//)).toEqual([]);
  });

  // Rule: no constructor in core/ takes from a global: core/ has no instance to be taken,
  // what one needs is handed to it.
  it('keeps no instance in a module', () => {
    const instances = within('core/').filter((path) =>
      /^(?:export )?(?:const|let) \w+ = new (?!Set|Map|Text(?:En|De)coder)\w+/m.test(sources.get(path) ?? ''),
    );
    expect(instances).toEqual([]);
  });
});

// Rule: what an agent says is read in one way, which leaves no text of it as it was sent;
// nothing else decodes a message that it may send.
describe('messages of agents', () => {
  const schemas = ['FromDesktopSchema', 'ChannelEndSchema', 'SessionEndedSchema', 'ProblemSchema'];
  it('are made plain where they are read', () => {
    const uses = product.flatMap((path) =>
      (sources.get(path) ?? '')
        .split('\n')
        .filter((text) => schemas.some((name) => new RegExp(`\\b${name}\\b`).test(text)))
        .filter(
          (text) => !/^\s*\w+,$|^import /.test(text) && !/\b(?:decodePlain|plain)\(\w+Schema,/.test(text),
        )
        .map((text) => `${path}: ${text.trim()}`),
    );
    expect(uses).toEqual([]);
  });
});

// Rule: ui/ knows no state and no page: what it shows is given to it.
describe('ui/', () => {
  it('imports nothing of state/, pages/ or the live data of core/', () => {
    expect(strays(within('ui/'), /^(state|pages)\/|^core\/(boot|relay|viewer|channels|wire)\//)).toEqual([]);
  });
});

// Rule: a component shows and asks, in at most 150 lines.
describe('a component', () => {
  it('has at most 150 lines', () => {
    const long = product
      .filter((path) => path.endsWith('.svelte'))
      .map((path) => `${path}: ${(sources.get(path) ?? '').trimEnd().split('\n').length}`)
      .filter((line) => Number(line.split(': ')[1]) > 150);
    expect(long).toEqual([]);
  });

  // Rule: forms, fields, tables, lists of definitions and buttons of toolbars are made once, in ui/.
  it.each([
    ['table', /<table\b/],
    ['dl', /<dl\b/],
    ['tool', /class="tool\b/],
    ['input', /<(?:input|select|textarea)\b/],
  ])('takes %s from ui/', (_name, element) => {
    const own = product.filter((path) => path.endsWith('.svelte') && !path.startsWith('ui/'));
    expect(own.filter((path) => element.test(sources.get(path) ?? ''))).toEqual([]);
  });
});
