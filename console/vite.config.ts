import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

// `npm run dev` speaks to a relay that runs elsewhere.
const relay = process.env['ORIEL_RELAY'] ?? 'http://127.0.0.1:8080';
const proxy = {
  '/api': relay,
  '/download': relay,
  '/install.sh': relay,
  '/live': { target: relay, ws: true },
};

export default defineConfig({
  plugins: [svelte(), svelteTesting()],
  build: {
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    // The console's content security policy knows no data: addresses for scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Empty the folder by `npm run build` itself: it keeps the placeholder that go:embed needs.
    emptyOutDir: false,
    manifest: true,
  },
  server: { proxy },
  preview: { proxy },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'happy-dom',
    restoreMocks: true,
  },
});
