// What docs/apps.md tells people to write, tried against a whole broker: the text as it stands there, but for addresses
// that are on this machine here, and the permission to speak plain http to it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startApache } from '../interop/lib/apache.mjs';
import { Browser } from '../interop/lib/browser.mjs';
import { startHouse, throughChooser } from '../interop/lib/demo.mjs';
import { freePorts } from '../interop/lib/ports.mjs';
import { runProgram } from '../interop/lib/program.mjs';
import { blocks } from './blocks.mjs';

const TEXT = readFileSync(fileURLToPath(new URL('../../docs/apps.md', import.meta.url)), 'utf8');
// Where the packages are that the snippets import.
const PACKAGES = fileURLToPath(new URL('../interop', import.meta.url));
const SECRETS = Object.fromEntries(['SHOP', 'BOARD', 'REPORT', 'API'].map((name) => [`${name}_SECRET`, `${name}-secret-only-for-the-tests-0123456789`]));
const ENVIRONMENT = { ...SECRETS, SHOP_COOKIE_KEY: 'only for this one test run' };

const python = process.env.COUNTERSIGN_PYTHON;

let house;
let addresses;
let folder;

/** The text with addresses of this machine. */
const here = (text) => Object.entries(addresses).reduce((all, [from, to]) => all.replaceAll(from, to), text);

before(async () => {
  const [shop, board, viewer] = await freePorts(3);
  addresses = {
    'https://shop.example.com': `http://127.0.0.1:${shop}`,
    'https://board.example.com': `http://localhost:${board}`,
    'https://viewer.example.com': `http://127.0.0.1:${viewer}`,
  };
  const toml = blocks(TEXT, 'toml');
  assert.equal(toml.length, 6, 'each pattern has its client, and the API its resource server');
  const admin = '\n[roles.admin]\npermissions = ["everything"]\n[[assign]]\nemail = "alice@globex.example"\nroles = ["admin"]\n';
  house = await startHouse({ more: here(toml.join('\n')) + admin, env: ENVIRONMENT });
  addresses['https://id.example.com'] = house.issuer;
  Object.assign(process.env, ENVIRONMENT);
  folder = mkdtempSync(path.join(PACKAGES, '.snippets-'));
});
after(async () => {
  await house?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

const scripts = blocks(TEXT, 'js');
let count = 0;

/** A script of the page as a module. */
function imported(text) {
  const insecure = '{ execute: [oidc.allowInsecureRequests] }';
  const local = here(text)
    .replaceAll('process.env.SHOP_SECRET)', `process.env.SHOP_SECRET, undefined, ${insecure})`)
    .replaceAll('oidc.None())', `oidc.None(), ${insecure})`);
  const file = path.join(folder, `${count += 1}.mjs`);
  writeFileSync(file, local);
  return import(pathToFileURL(file));
}

/** Signs in by the chooser; answers the address at which the app gets its answer. */
async function answered(url, stopAt, browser = new Browser()) {
  const end = await throughChooser(browser, await browser.open(url), { stopAt });
  assert.ok(end.stopped, `${end.url}\n${end.text}`);
  return end.url;
}

test('an app with a server', async () => {
  const [server, ...rest] = scripts;
  assert.equal(rest.length, 2, 'a new block must be tried here too');
  const app = await imported(server);
  const browser = new Browser();
  const { url, checks } = await app.begin();
  const { person, idToken } = await app.finish(await answered(url, addresses['https://shop.example.com'], browser), checks);
  assert.equal(person.name, 'Alice Ahlgren');
  assert.ok(person.roles.includes('editor'));
  const bye = await browser.open(app.leave(idToken), { stopAt: addresses['https://shop.example.com'] });
  assert.ok(bye.stopped, bye.text);
});

test('an old application behind Apache', async () => {
  const [lines, ...rest] = blocks(TEXT, 'apache');
  assert.equal(rest.length, 0, 'a new block must be tried here too');
  const url = addresses['https://shop.example.com'];
  const apache = await startApache({ port: new URL(url).port, lines: here(lines), own: true });
  try {
    const signedIn = async (person) => {
      const browser = new Browser();
      const page = await throughChooser(browser, await browser.open(`${url}/page`), { person });
      assert.equal(page.status, 200, await apache.log());
      return browser;
    };
    const admin = await (await signedIn('alice')).open(`${url}/admin`);
    assert.equal(admin.status, 200, await apache.log());
    assert.match(JSON.parse(admin.text).headers.oidc_claim_roles, /admin/);
    assert.equal((await (await signedIn('carol')).open(`${url}/admin`)).status, 401);
  } finally {
    await apache.stop();
  }
});

test('an app in the browser alone', async () => {
  const kept = new Map();
  const globals = {
    sessionStorage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) },
    location: { assign(url) { this.href = String(url); } },
    history: { replaceState(_state, _title, url) { globals.location.href = url; } },
  };
  Object.assign(globalThis, globals);
  try {
    const app = await imported(scripts[1]);
    await app.begin();
    globals.location.href = String(await answered(globals.location.href, `${addresses['https://viewer.example.com']}/?`));
    const tokens = await app.finish();
    assert.equal(tokens.claims().aud, 'viewer');
    assert.equal(globals.location.href, `${addresses['https://viewer.example.com']}/`, 'no code is left in the address');
    assert.equal(kept.size, 0);
  } finally {
    for (const name of Object.keys(globals)) delete globalThis[name];
  }
});

test('a native app', { skip: python ? false : 'COUNTERSIGN_PYTHON names no interpreter with the requirements' }, async () => {
  const [script, ...rest] = blocks(TEXT, 'python');
  assert.equal(rest.length, 0, 'a new block must be tried here too');
  const app = await runProgram(python, ['-c', here(script)], { OAUTHLIB_INSECURE_TRANSPORT: '1' });
  try {
    const browser = new Browser();
    const end = await throughChooser(browser, await browser.open(app.asked));
    assert.match(end.text, /flow has completed/);
    assert.match(await app.result, /Alice Ahlgren\n$/);
  } finally {
    app.stop();
  }
});

const run = (script, env = {}) => JSON.parse(execFileSync('sh', ['-c', here(script)], { env: { ...process.env, ...env }, encoding: 'utf8' }));

test('a service gets a token, and the API checks it offline and by introspection', async () => {
  const [ask, introspect, ...rest] = blocks(TEXT, 'sh');
  assert.equal(rest.length, 0, 'a new block must be tried here too');
  const { access_token: token } = run(ask);
  const { check } = await imported(scripts[2]);
  const payload = await check(token);
  assert.equal(payload.client_id, 'nightly-report');
  assert.deepEqual(payload.permissions, ['reports:read']);
  await assert.rejects(check(`${token.slice(0, -4)}AAAA`));
  assert.equal(run(introspect, { TOKEN: token }).active, true);
  assert.deepEqual(run(introspect, { TOKEN: 'x' }), { active: false });
});
