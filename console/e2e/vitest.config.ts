import { defineConfig } from 'vitest/config';

// Real programs and a real browser: one file at a time, each test with room.
export default defineConfig(({ mode }) => ({
  test: {
    root: new URL('.', import.meta.url).pathname,
    include: [mode === 'bench' ? '**/*.bench.ts' : '**/*.e2e.ts'],
    globalSetup: ['setup.ts'],
    fileParallelism: false,
    testTimeout: mode === 'bench' ? 600_000 : 120_000,
    hookTimeout: 120_000,
    reporters: mode === 'bench' ? ['default'] : ['verbose'],
    silent: false,
  },
}));
