import { defineConfig } from 'vitest/config';

const files: Record<string, string> = { bench: '**/*.bench.ts', peers: 'bench/*.run.ts' };

// Real programs and a real browser: one file at a time, each test with room, as
// a shared machine may stand still for seconds.
export default defineConfig(({ mode }) => ({
  test: {
    root: new URL('.', import.meta.url).pathname,
    include: [files[mode] ?? '**/*.e2e.ts'],
    globalSetup: ['setup.ts'],
    fileParallelism: false,
    testTimeout: mode === 'peers' ? 24 * 3_600_000 : mode === 'bench' ? 600_000 : 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: mode in files ? ['default'] : ['verbose'],
    silent: false,
  },
}));
