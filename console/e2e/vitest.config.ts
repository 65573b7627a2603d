import { defineConfig } from 'vitest/config';

// Real programs and a real browser: one file at a time, each test with room.
export default defineConfig({
  test: {
    root: new URL('.', import.meta.url).pathname,
    include: ['**/*.e2e.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
    bail: process.env['CI'] ? 0 : 1,
  },
});
