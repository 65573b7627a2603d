/**
 * `make bench-peers`: Oriel beside TigerVNC and noVNC, from outside, in real
 * Chromium, in one run. Each product is started afresh for each round and each
 * network, in turn, and everything that was started is ended again.
 *
 *	ROUNDS=3    rounds; figures are medians over them, unless a row asks for the worst
 *	QUICK=1     short phases, and one round unless ROUNDS says otherwise: one alone is
 *	            for seeing that it works, not for figures
 *	PHASES=…    some of: connect key typing idle scroll video second correct
 *	            5mbit 1mbit 300kbit drop (default: all)
 *	COUNT=200   random changes a round whose picture is compared; 10000 takes 13 minutes
 *	IDLE=60     seconds of the idle time
 *	ORIEL_BUILD folder with the oriel-relay and oriel-agent to measure (default: build)
 *	LOGS=1      print the programs' logs when something fails
 *
 * The machine should have nothing else to do: what everything else burnt
 * meanwhile is printed below the table.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { it } from 'vitest';
import { Display } from '../harness/display.ts';
import { noLinks, type Network } from './link.ts';
import { cpuModel, largePages, watchLoad } from './load.ts';
import { versions, type PeerName } from './peers.ts';
import type { Lengths } from './phases.ts';
import { Results } from './results.ts';
import { markdown } from './rows.ts';
import { Screen } from './screen.ts';
import { drop, linked, loopback, session } from './session.ts';

const quick = Boolean(process.env['QUICK']);
const rounds = Number(process.env['ROUNDS'] ?? (quick ? 1 : 3));
const lengths: Lengths = {
  connects: quick ? 1 : 3,
  presses: quick ? 15 : 50,
  typing: quick ? 4 : 20,
  idle: Number(process.env['IDLE'] ?? (quick ? 8 : 60)),
  motion: quick ? 4 : 10,
  changes: Number(process.env['COUNT'] ?? (quick ? 40 : 200)),
};
const phases = (process.env['PHASES'] ?? '').split(/[ ,]+/).filter(Boolean);
const want = (phase: string): boolean => phases.length === 0 || phases.includes(phase);

const onLoopback = ['connect', 'key', 'typing', 'idle', 'scroll', 'video', 'second', 'correct'];
const networks: { name: string; words: string; network: Network; peers: PeerName[] }[] = [
  {
    name: '5mbit',
    words: '5 Mbit/s, 40 ms there and back, 1 % lost',
    network: { rate: '5mbit', delayMs: 20, lossPercent: 1 },
    peers: ['reference', 'Oriel'],
  },
  {
    name: '1mbit',
    words: '1 Mbit/s, 100 ms there and back',
    network: { rate: '1mbit', delayMs: 50, lossPercent: 0 },
    peers: ['reference', 'Oriel'],
  },
  {
    name: '300kbit',
    words: '300 kbit/s, 200 ms there and back, 2 % lost',
    network: { rate: '300kbit', delayMs: 100, lossPercent: 2 },
    peers: quick ? ['Oriel'] : ['reference', 'Oriel'], // it takes the reference a minute to begin
  },
];

it('measures Oriel beside its peers', async () => {
  process.once('disconnect', () => process.exit(1)); // whoever asked for this is gone: end all with it
  const results = new Results();
  const load = watchLoad(0);
  const pages = largePages();
  const display = await Display.start(1920, 1080);
  const screen = await Screen.start(display);
  const begun = (round: number, name: PeerName, where: string): void => {
    process.stdout.write(`\n  round ${round}, ${name}, ${where}\n`);
  };
  const why = noLinks();
  try {
    for (let round = 1; round <= rounds; round++) {
      const around = { display, screen, results, lengths };
      for (const name of ['reference', 'Oriel'] as const) {
        if (!onLoopback.some(want)) break;
        begun(round, name, 'loopback');
        await session({ ...around, name, network: null, prefix: '' }, (b) => loopback(b, want));
      }
      if (why) continue;
      for (const { name: net, words, network, peers } of networks.filter((n) => want(n.name))) {
        for (const name of peers) {
          begun(round, name, words);
          await session({ ...around, name, network, prefix: `${net} ` }, (b) => linked(b, () => true));
        }
      }
      if (!want('drop')) continue;
      begun(round, 'Oriel', '20 Mbit/s, 1 Mbit/s in mid-scroll, 20 Mbit/s');
      const network = { rate: '20mbit', delayMs: 20, lossPercent: 0 };
      await session({ ...around, name: 'Oriel', network, prefix: 'drop ' }, (b, place) =>
        drop(b, place, quick ? 8 : 12, quick ? 10 : 15),
      );
    }
  } finally {
    await screen.stop();
    await display.stop();
    pages.restore();
  }

  const { others, stolen, seconds } = load();
  const file = fileURLToPath(new URL('../../../build/bench-peers.json', import.meta.url));
  writeFileSync(file, results.json());
  const facts = [
    `${new Date().toISOString().slice(0, 10)}, ${cpuModel()}, ${rounds} round${rounds > 1 ? 's' : ''}${quick ? ', QUICK' : ''}, ${Math.round(seconds / 60)} minutes.`,
    `Reference: TigerVNC x0vncserver + websockify + noVNC. ${versions().join(', ')}.`,
    `CPU of everything else meanwhile: ${Math.round(100 * others)} % of a core; taken by the machine's host: ${Math.round(100 * stolen)} %.`,
    ...(pages.changed ? ['Memory came in large pages meanwhile, for all of them alike.'] : []),
    ...(why ? [`No rows for bad networks: ${why}.`] : []),
    ...results.remarks.map((r) => `Remark: ${r}.`),
  ];
  process.stdout.write(`\n${markdown(results)}\n\n${facts.join('\n')}\n\nAll figures: ${file}\n`);
});
