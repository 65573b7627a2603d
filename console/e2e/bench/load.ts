/** CPU time of processes and of everything else on the machine, from /proc. */
import { cpus } from 'node:os';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const ticks = 100; // a second, on every Linux

/** CPU seconds of a process with its living descendants and those it has waited for. */
export function cpuSeconds(root: number): number {
  const parents = new Map<number, number>();
  const used = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!pid) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const f = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      parents.set(pid, Number(f[1]));
      used.set(pid, [11, 12, 13, 14].reduce((sum, i) => sum + Number(f[i]), 0) / ticks);
    } catch {
      // it has ended
    }
  }
  const below = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 0 && (pid === root || below(parents.get(pid)));
  let sum = 0;
  for (const [pid, seconds] of used) if (below(pid)) sum += seconds;
  return sum;
}

/** CPU seconds that the whole machine has worked, and that its host gave to others. */
function machineSeconds(): { worked: number; stolen: number } {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { worked: (user + nice + system + irq + softirq) / ticks, stolen: steal / ticks };
}

/** Until the returned function is called: shares of one core. */
export type Load = {
  process: number;
  /** everything but this bench */
  others: number;
  /** what the machine's host gave to other machines, of all cores together */
  stolen: number;
  seconds: number;
};

export function watchLoad(pid: number): () => Load {
  const look = (): [number, number, number, number, number] => {
    const { worked, stolen } = machineSeconds();
    return [performance.now() / 1000, pid ? cpuSeconds(pid) : 0, worked, cpuSeconds(process.pid), stolen];
  };
  const before = look();
  return () => {
    const [seconds, mine, machine, bench, stolen] = look().map((v, i) => v - (before[i] ?? 0)) as ReturnType<
      typeof look
    >;
    return {
      process: mine / seconds,
      others: Math.max(0, machine - bench) / seconds,
      stolen: stolen / seconds,
      seconds,
    };
  };
}

export function cpuModel(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown'}`;
}

/**
 * Asks the kernel for large pages for all programs, where it lets us (root), until
 * restore. A browser that draws without a GPU takes new memory for each picture; on a
 * machine whose host has to help with each page (12 µs seen, 25 ms for a picture) that
 * would be all there is to measure.
 */
export function largePages(): { changed: boolean; restore(): void } {
  const before = new Map<string, string>();
  for (const name of ['enabled', 'shmem_enabled']) {
    const file = `/sys/kernel/mm/transparent_hugepage/${name}`;
    try {
      const was = readFileSync(file, 'utf8').match(/\[(\w+)\]/)?.[1] ?? 'always';
      if (was === 'always') continue;
      writeFileSync(file, 'always');
      before.set(file, was);
    } catch {
      // another kernel, or another user: as it is
    }
  }
  const restore = (): void => {
    for (const [file, was] of before) writeFileSync(file, was);
    before.clear();
  };
  process.once('exit', restore);
  return { changed: before.size > 0, restore };
}
