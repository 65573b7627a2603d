import { defineConfig } from 'vitest/config';

const root = new URL('.', import.meta.url).pathname;
const files: Record<string, string> = { bench: '**/*.bench.ts', peers: 'bench/*.run.ts' };

// What is held to seconds, or to pictures a second, and `make run`, has the machine
// for itself, one file at a time; the rest waits for most of its time, so two share it.
const together = [
  'cluster',
  'display',
  'firefox',
  'layouts',
  'handoff',
  'pages',
  'people',
  'trust',
  'turn',
  'carrier',
].map((f) => `${f}.e2e.ts`);

// Real programs and a real browser, each test with room, as a shared machine may
// stand still for seconds.
const timeouts: Record<string, number> = { bench: 600_000, peers: 24 * 3_600_000 };

export default defineConfig(({ mode }) => ({
  test: {
    root,
    hookTimeout: 300_000,
    reporters: mode in files ? ['default'] : ['verbose'],
    silent: false,
    globalSetup: ['setup.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          testTimeout: timeouts[mode] ?? 300_000, // here, as a project does not hear of the mode
          include: [files[mode] ?? '**/*.e2e.ts'],
          exclude: ['**/node_modules/**', ...together],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'together',
          testTimeout: 300_000,
          include: mode in files ? [] : together,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
}));
