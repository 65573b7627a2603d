// Completes console/package-lock.json after `npm install`: node .ci/lock.mjs
//
// Some packages (buf, lix) have one optional package for each system. A registry
// mirror may lack those of other systems; npm then leaves them out of the lock
// file and `npm ci` refuses the result as incomplete. This adds them, by name,
// version, system and processor; without a hash, which only the registry has.
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../console/package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const processors = { x64: 'x64', arm64: 'arm64', aarch64: 'arm64', armv7: 'arm', ia32: 'ia32' };

for (const owner of Object.values(lock.packages))
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    const os = /darwin|linux|win32|freebsd|android/.exec(name)?.[0];
    const cpu = Object.keys(processors).find((word) => name.includes(word));
    if (lock.packages[place] || !os || !cpu || !/^\d/.test(version)) continue;
    lock.packages[place] = {
      version,
      cpu: [processors[cpu]],
      ...(owner.dev && { dev: true }),
      ...(name.includes('musl') && { libc: ['musl'] }),
      optional: true,
      os: [os],
    };
    console.log(`added ${name} ${version}`);
  }

lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, JSON.stringify(lock, null, 2) + '\n');
