import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

// `npm run dev` speaks to a relay that runs elsewhere.
const relay = process.env['ORIEL_RELAY'] ?? 'http://127.0.0.1:8080';
const proxy = {
  '^/api/(?!docs)': relay,
  '/download': relay,
  '/install.sh': relay,
  '/live': { target: relay, ws: true },
};

// The pages are loaded by a script (src/main.ts), and before them what begins a session
// (src/core/boot/prestart.ts): the browser shall fetch all at once, with all that those import
// in turn, and has the catalogue's words for when they cannot be had.
const words = JSON.parse(readFileSync(new URL('messages/en.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>;
const pages: Plugin = {
  name: 'oriel-pages',
  transformIndexHtml: {
    order: 'post',
    handler(source, { bundle }) {
      const html = source.replace(/\{(\w+)\}/g, (all, name: string) => words[name] ?? all);
      const chunks = Object.values(bundle ?? {}).filter((c) => c.type === 'chunk');
      const loaded = new Set<string>();
      const load = (chunk?: (typeof chunks)[number]) => {
        if (!chunk || chunk.isEntry || loaded.has(chunk.fileName)) return;
        loaded.add(chunk.fileName);
        for (const name of chunk.imports) load(chunks.find((c) => c.fileName === name));
      };
      for (const file of ['/src/core/boot/prestart.ts', '/src/app.ts'])
        load(chunks.find((c) => c.facadeModuleId?.endsWith(file)));
      const tags = [...loaded].map((file) => ({
        tag: 'link',
        attrs: { rel: 'modulepreload', crossorigin: true, href: `/${file}` },
        injectTo: 'head' as const,
      }));
      return { html, tags };
    },
  },
};

// How the bundler asks what a module imports.
interface Modules {
  getModuleInfo(id: string): { importedIds: readonly string[] } | null;
}

// Whether the first page has a use for a module. What only other pages share is not loaded
// with it.
const firstPage = (() => {
  const entries = [
    'src/main.ts',
    'src/app.ts',
    'src/core/boot/prestart.ts',
    'src/pages/computers/Computers.svelte',
  ];
  let ids: Set<string> | undefined;
  return (id: string, modules: Modules) => {
    if (!ids) {
      ids = new Set(entries.map((file) => fileURLToPath(new URL(file, import.meta.url))));
      for (const one of ids) for (const next of modules.getModuleInfo(one)?.importedIds ?? []) ids.add(next);
    }
    return ids.has(id);
  };
})();
const sharedAs = (name: string) => (id: string, modules: Modules) =>
  firstPage(id, modules) ? name : `${name}-later`;

export default defineConfig({
  plugins: [svelte(), svelteTesting(), pages],
  build: {
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    // The console's content security policy knows no data: addresses for scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Empty the folder by `npm run build` itself: it keeps the placeholder that go:embed needs.
    emptyOutDir: false,
    manifest: true,
    // One style sheet, of which the page knows before any script has run.
    cssCodeSplit: false,
    // What several pages share goes into few files. By itself each word that two of them say
    // would be a file of its own, which a new tab has to ask for (scripts/check-size.mjs).
    // What the first page has no use for is apart from it (firstPage).
    // What a session begins with has a file that has nothing of the pages' in it: a new tab
    // runs it before it offers.
    rolldownOptions: {
      output: {
        codeSplitting: {
          includeDependenciesRecursively: false,
          groups: [
            { name: sharedAs('words'), test: /\/src\/paraglide\//, minShareCount: 2 },
            { name: sharedAs('shared'), test: /\/src\/(ui|state|i18n)\//, minShareCount: 2 },
            {
              name: 'core',
              test: /\/src\/core\/(?!boot|viewer)|\/node_modules\/(@bufbuild|@noble\/hashes|openapi-fetch)\//,
              minShareCount: 2,
            },
            { name: 'libraries', test: /\/node_modules\//, minShareCount: 2 },
          ],
        },
      },
    },
  },
  server: { proxy },
  preview: { proxy },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'happy-dom',
    restoreMocks: true,
  },
});
