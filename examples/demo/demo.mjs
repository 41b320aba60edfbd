// Starts the whole demo: the broker, the stand-in providers and Notes, each a process of its own.
// `./dev demo` runs this file as a program; the journeys use `startDemo`.

import { execFileSync, fork, spawn } from 'node:child_process';
import {
  closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const START_SECONDS = 60;
// The broker itself finishes requests in progress for up to 10 seconds.
const STOP_SECONDS = 12;

/** The configuration in this folder is written for these ports; others are put in when it is copied. */
export const DEFAULT_PORT_BASE = 8080;

// Ports 5 and 6 are left to Board and its API (examples/bff), which are started beside the demo.
const APPS = [
  { name: 'Globex', folder: 'globex', offset: 1, about: 'stand-in provider, OpenID Connect' },
  { name: 'Friendbook', folder: 'friendbook', offset: 2, about: 'stand-in provider, OAuth 2.0 with a Graph API' },
  { name: 'Acme', folder: 'acme', offset: 3, about: 'stand-in provider, SAML 2.0' },
  { name: 'Mailbox', folder: 'mailbox', offset: 7, about: 'stand-in mail server: the letters that the broker sends' },
  { name: 'Notes', folder: 'notes', offset: 4, about: 'the example app: start here' },
];
const BROKER = { name: 'Countersign', offset: 0, about: 'the broker; its metadata is at /.well-known/openid-configuration' };
const MANAGEMENT = { name: 'Countersign’s management listener', offset: 9, about: 'health, readiness and metrics' };

// Where Mailbox takes letters.
const SMTP = { name: 'Mailbox’s mail listener', offset: 8 };

const COPIED = ['countersign.toml', 'providers.toml'];

/** What a person can put right; printed without a stack. */
export class DemoError extends Error {}

// --- Addresses ------------------------------------------------------------------------------

const localAddresses = (portBase) => ({
  broker: `http://localhost:${portBase}`,
  globex: `http://localhost:${portBase + 1}`,
  friendbook: `http://localhost:${portBase + 2}`,
  acme: `http://localhost:${portBase + 3}`,
  notes: `http://localhost:${portBase + 4}`,
  mailbox: `http://localhost:${portBase + 7}`,
  management: `http://127.0.0.1:${portBase + 9}`,
});

/** Copies a configuration for other ports. */
export function withPortBase(text, portBase) {
  return text.replace(
    /\b((?:localhost|127\.0\.0\.1):|port = )808(\d)\b/g,
    (_, before, digit) => `${before}${portBase + Number(digit)}`,
  );
}

function isTaken(port, host) {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', (error) => resolve(error.code === 'EADDRINUSE' || error.code === 'EACCES'));
    probe.listen(port, host, () => probe.close(() => resolve(false)));
  });
}

/** Throws when a port is taken, on either loopback: browsers try both for `localhost`. */
export async function checkPorts(portBase) {
  for (const { name, offset } of [BROKER, ...APPS, SMTP, MANAGEMENT]) {
    const port = portBase + offset;
    if ((await isTaken(port, '127.0.0.1')) || (await isTaken(port, '::1'))) {
      throw new DemoError(
        `Port ${port} is taken, and ${name} needs it. Is the demo running already?\n` +
          `Stop what uses the port, or choose others: ./dev demo --port-base ${portBase + 10000 < 65000 ? portBase + 10000 : 18080}`,
      );
    }
  }
}

/** The first of a run of ports that are all free, for a demo beside others. */
export async function freePortBase() {
  for (;;) {
    const probe = net.createServer();
    await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address();
    await new Promise((resolve) => probe.close(resolve));
    const base = port - (port % 10);
    try {
      await checkPorts(base);
      return base;
    } catch {
      // Someone has one of them; try another run.
    }
  }
}

// --- Processes ------------------------------------------------------------------------------

class Child {
  constructor(name, process, logFile) {
    Object.assign(this, { name, process, logFile });
    this.ended = new Promise((resolve) => {
      process.once('error', (error) => resolve(error.message));
      process.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    this.gone = false;
    this.ended.then(() => { this.gone = true; });
    this.ready = new Promise((resolve) => process.once('message', resolve));
  }

  lastLines(count = 20) {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  }

  async stop() {
    this.process.kill('SIGTERM');
    const patience = setTimeout(() => this.process.kill('SIGKILL'), STOP_SECONDS * 1000);
    await this.ended;
    clearTimeout(patience);
  }
}

function withLog(dataDir, name, launch) {
  const logFile = path.join(dataDir, 'log', `${name}.log`);
  mkdirSync(path.dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'w');
  try {
    return new Child(name, launch(log), logFile);
  } finally {
    closeSync(log);
  }
}

// Children are `detached`, that is in process groups of their own: the terminal's Ctrl-C reaches this process
// alone, which then stops them in good order.

function launchApp(folder, dataDir, env) {
  return withLog(dataDir, folder, (log) =>
    fork(path.join(HERE, folder, 'server.mjs'), {
      env: { ...process.env, ...env },
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
    }));
}

function launchBroker(binary, dataDir, env) {
  // Another database or configuration of the person who starts the demo is none of ours.
  const { DATABASE_URL, COUNTERSIGN_CONFIG, ...inherited } = process.env;
  const command = [binary, 'serve', '--config', path.join(dataDir, 'countersign.toml')];
  // The kernel stops the broker when this process dies without a chance to say so.
  if (existsSync('/usr/bin/setpriv')) command.unshift('/usr/bin/setpriv', '--pdeathsig', 'TERM', '--');
  return withLog(dataDir, 'broker', (log) =>
    spawn(command[0], command.slice(1), {
      env: { ...inherited, ...env }, stdio: ['ignore', log, log], detached: true,
    }));
}

/** The key by which the broker is known to Acme; made once. */
function makeSamlKey(binary, dataDir) {
  const file = path.join(dataDir, 'secrets', 'acme.pem');
  if (existsSync(file)) return;
  try {
    execFileSync(binary, ['saml-key', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    throw new DemoError(`The broker could not make its key for Acme: ${error.stderr || error.message}`);
  }
}

/** Resolves when the address answers 200, or when the child is gone. */
async function answers(address, child) {
  while (!child.gone) {
    const response = await fetch(address, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function untilReady(child, ready) {
  const late = new Promise((resolve) => setTimeout(resolve, START_SECONDS * 1000, 'late').unref());
  const outcome = await Promise.race([ready.then(() => undefined), child.ended, late]);
  if (outcome === undefined) return;
  const what = outcome === 'late' ? `did not answer within ${START_SECONDS} seconds` : `stopped (${outcome})`;
  throw new DemoError(`${child.name} ${what}. Its last lines, from ${child.logFile}:\n\n${child.lastLines()}`);
}

// --- The demo -------------------------------------------------------------------------------

/**
 * Starts everything and resolves when all of it answers.
 *
 * @param binary the broker's executable
 * @param dataDir where configuration, database, keys and logs are kept
 * @param portBase the first port
 * @param addresses other addresses than those on localhost (`broker`, `globex`, …)
 * @param rewrite changes the text of a configuration file once more before it is written
 * @param env more environment for every process
 * @param without names of stand-ins that are not started
 * @returns `{ addresses, children, stop, failed }`; `failed` resolves with the first child that ends by itself
 */
export async function startDemo({
  binary, dataDir, portBase = DEFAULT_PORT_BASE, addresses = localAddresses(portBase),
  rewrite = (_name, text) => text, env = {}, without = [], say = () => {},
}) {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  for (const name of COPIED) {
    const text = withPortBase(readFileSync(path.join(HERE, name), 'utf8'), portBase);
    const note = `# Written by ./dev demo at each start, from examples/demo/${name}.\n\n`;
    writeFileSync(path.join(dataDir, name), note + rewrite(name, text));
  }
  cpSync(path.join(HERE, 'secrets'), path.join(dataDir, 'secrets'), { recursive: true });
  makeSamlKey(binary, dataDir);
  const children = [];
  const stop = () => Promise.all(children.map((child) => child.stop()));
  try {
    for (const { name, folder, offset } of APPS.filter(({ folder }) => !without.includes(folder))) {
      say(`Starting ${name} …`);
      children.push(launchApp(folder, dataDir, {
        ...env,
        PORT: String(portBase + offset),
        PUBLIC_URL: addresses[folder],
        BROKER_URL: addresses.broker,
        DATA_DIR: path.join(dataDir, folder),
        SMTP_PORT: String(portBase + SMTP.offset),
      }));
    }
    say('Starting Countersign …');
    const broker = launchBroker(binary, dataDir, env);
    children.push(broker);
    for (const child of children) {
      await untilReady(child, child === broker ? answers(`${addresses.management}/ready`, broker) : child.ready);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const failed = Promise.race(children.map((child) => child.ended.then((how) => ({ child, how }))));
  return { addresses, children, stop, failed };
}

// --- The program ----------------------------------------------------------------------------

const aboutApp = (folder) => APPS.find((app) => app.folder === folder).about;

function table(addresses, dataDir, binary) {
  const rows = [
    ['Notes', addresses.notes, aboutApp('notes')],
    ['Countersign', addresses.broker, BROKER.about],
    ['Globex', addresses.globex, aboutApp('globex')],
    ['Friendbook', addresses.friendbook, aboutApp('friendbook')],
    ['Acme', addresses.acme, aboutApp('acme')],
    ['Mailbox', addresses.mailbox, aboutApp('mailbox')],
    ['Management', addresses.management, MANAGEMENT.about],
  ];
  const lines = rows.map(([name, address, about]) => `  ${name.padEnd(12)} ${address.padEnd(23)} ${about}`);
  const folder = path.relative(process.cwd(), dataDir) || '.';
  return `
The demo is up. Open ${addresses.notes} and sign in.

${lines.join('\n')}

Everywhere the people are alice, bob, carol and mallory, and nobody has a password.
Data, settings and logs are in ${folder} (kept; --fresh starts anew). To look inside, for example:
  ${binary} account list --config ${folder}/countersign.toml
Ctrl-C stops everything.
`;
}

function readArguments() {
  const options = {
    binary: { type: 'string' },
    data: { type: 'string' },
    'port-base': { type: 'string', default: String(DEFAULT_PORT_BASE) },
    fresh: { type: 'boolean', default: false },
    'check-ports': { type: 'boolean', default: false },
  };
  const { values } = parseArgs({ options });
  const portBase = Number(values['port-base']);
  if (!Number.isInteger(portBase) || portBase < 1024 || portBase > 65526) {
    throw new DemoError('--port-base takes a port between 1024 and 65526.');
  }
  return { ...values, portBase };
}

async function run() {
  const { binary, data, fresh, portBase, 'check-ports': onlyPorts } = readArguments();
  await checkPorts(portBase);
  if (onlyPorts) return;

  let demo;
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    console.log('\nStopping …');
    await demo?.stop();
    console.log('Stopped.');
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);

  // One folder for each port: keys in a database remember the issuer that they were made for.
  const dataDir = path.join(data, String(portBase));
  if (fresh) rmSync(dataDir, { recursive: true, force: true });
  demo = await startDemo({ binary, dataDir, portBase, say: console.log });
  console.log(table(demo.addresses, dataDir, binary));

  const { child, how } = await demo.failed;
  if (stopping) return;
  stopping = true;
  await demo.stop();
  throw new DemoError(`${child.name} stopped (${how}). Its last lines, from ${child.logFile}:\n\n${child.lastLines()}`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  run().catch((error) => {
    console.error(error instanceof DemoError ? error.message : error);
    process.exit(1);
  });
}
