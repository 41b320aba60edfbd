// Runs plans of the OpenID Foundation's conformance suite against a broker that it starts itself, and prints
// what they said. README.md tells what must be there first.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Driver } from './lib/driver.mjs';
import { House } from './lib/house.mjs';
import { Suite } from './lib/suite.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const read = (name) => JSON.parse(readFileSync(path.join(HERE, name), 'utf8'));
const ENDED = ['FINISHED', 'INTERRUPTED'];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    suite: { type: 'string', default: 'https://localhost:8443' },
    'suite-ca': { type: 'string' },
    broker: { type: 'string' },
    folder: { type: 'string', default: path.resolve(HERE, '../../.conformance') },
    module: { type: 'string', multiple: true },
  },
});
if (!options.broker || !options['suite-ca']) {
  console.error('usage: node run.mjs --broker BINARY --suite-ca FILE [--suite URL] [--folder DIR] [--module NAME]… [PLAN]…');
  process.exit(2);
}
// Suite and broker have certificates of their own making; both are on this machine.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');

const expected = read('expected.json');
const suite = new Suite(options.suite);
const house = new House({
  folder: path.resolve(options.folder), binary: path.resolve(options.broker), suiteCa: options['suite-ca'],
});

/** What the conditions of a module complained about. */
function complaints(log) {
  return log
    .filter(({ result }) => ['FAILURE', 'WARNING'].includes(result))
    .map(({ result, src, msg, requirements }) => ({ result, src, msg, requirements: requirements ?? [] }));
}

// --- The suite as the provider ------------------------------------------------------------------

/** Plays the person at the broker while the suite plays the provider. Returns what does not fit. */
async function drive(client, module, id) {
  const wrong = [];
  const want = expected.rp[module] ?? 'accepted';
  let driver;
  await suite.until(id, ['WAITING']);
  if (want === 'fetched') {
    // What the broker does at its start is all that the module looks at; it ends there.
    const { status } = await suite.until(id, ENDED, 5);
    return ENDED.includes(status) ? [] : ['the broker did not fetch the document'];
  }
  const times = module === 'oidcc-client-test-signing-key-rotation' ? 2 : 1;
  for (let time = 1; time <= times; time += 1) {
    driver = new Driver();
    const outcome = await driver.signIn(client);
    if (outcome.signedIn !== (want !== 'refused')) wrong.push(`the broker said: ${outcome.said}`);
  }
  if (module.includes('backchannel')) {
    const entries = await suite.log(id);
    const hint = entries.filter((entry) => entry.outgoing_path === 'token').pop()?.outgoing_body.id_token;
    if (!hint) return [...wrong, 'the broker has redeemed no code, so that nobody can sign out'];
    const { exposed } = await suite.runner(id);
    await driver.signOutAt(exposed.end_session_endpoint, { hint, back: 'https://localhost:9443/' });
    const still = await driver.stillSignedIn(client);
    if (still !== (want !== 'ended')) wrong.push(still ? 'the session lives on' : 'the session has ended');
  }
  return wrong;
}

// --- Running ------------------------------------------------------------------------------------

async function runModule(plan, planId, entry) {
  const provides = plan.config.startsWith('rp');
  // A request that comes before the module waits for one is its end.
  if (provides) await house.stopBroker();
  try {
    return await runWith(plan, planId, entry, provides);
  } finally {
    if (!house.running()) await house.startBroker();
  }
}

async function runWith(plan, planId, entry, provides) {
  const { id } = await suite.createModule(planId, entry);
  let info = await suite.until(id, ['CONFIGURED', 'WAITING', ...ENDED]);
  if (info.status === 'CONFIGURED') {
    if (entry.testModule === 'oidcc-server-rotate-keys') await house.rotateKeys();
    await suite.start(id);
  }
  let wrong = [];
  if (provides) {
    await suite.until(id, ['WAITING', ...ENDED]);
    await house.startBroker();
    wrong = await drive(plan.config === 'rp' ? 'driver' : 'driver-form', entry.testModule, id)
      .catch((error) => [error.message]);
  }
  info = await suite.until(id, ENDED);
  const log = await suite.log(id);
  const folder = path.join(house.folder, plan.id);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, `${entry.testModule}.json`), JSON.stringify(log, undefined, 1));
  const result = ENDED.includes(info.status) ? (info.result ?? info.status) : `${info.status} for too long`;
  return { module: entry.testModule, result: wrong.length ? 'FAILED' : result, complaints: complaints(log), wrong };
}

async function runPlan(plan) {
  const created = await suite.createPlan(plan.plan, plan.variant, { ...read(`${plan.config}.json`), ...plan.change });
  const results = [];
  for (const entry of created.modules) {
    if (options.module && !options.module.includes(entry.testModule)) continue;
    const outcome = await runModule(plan, created.id, entry)
      .catch((error) => ({ module: entry.testModule, result: 'FAILED', complaints: [], wrong: [error.message] }));
    results.push(outcome);
    console.log(`${outcome.result.padEnd(8)} ${outcome.module}`);
    for (const { result, src, msg, requirements } of outcome.complaints) {
      console.log(`           ${result} ${src} [${requirements.join(', ')}] ${String(msg).slice(0, 300)}`);
    }
    for (const text of outcome.wrong) console.log(`           WRONG ${text}`);
  }
  return results;
}

const plans = read('plans.json').filter(({ id }) => positionals.length === 0 || positionals.includes(id));
const table = [];
await house.start();
try {
  for (const plan of plans) {
    console.log(`\n== ${plan.id}: ${plan.plan} ${JSON.stringify(plan.variant)}`);
    const results = await runPlan(plan);
    const count = (result) => results.filter((one) => one.result === result).length;
    const counts = ['PASSED', 'WARNING', 'REVIEW', 'SKIPPED', 'FAILED'].map(count);
    table.push({ plan: plan.id, counts, other: results.length - counts.reduce((sum, n) => sum + n, 0), results });
  }
} finally {
  await house.stop();
}
writeFileSync(path.join(house.folder, 'results.json'), JSON.stringify(table, undefined, 1));
console.log('\n| plan | passed | warnings | review | skipped | failed | other |\n|---|---|---|---|---|---|---|');
for (const { plan, counts, other } of table) console.log(`| ${plan} | ${counts.join(' | ')} | ${other} |`);
process.exitCode = table.some(({ counts, other }) => counts[4] + other > 0) ? 1 : 0;
