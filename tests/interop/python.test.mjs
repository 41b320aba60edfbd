// A client in another language: Authlib, unmodified.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newKey } from './lib/keys.mjs';
import { APP, secrets, signIn, start } from './lib/setup.mjs';

const python = process.env.COUNTERSIGN_PYTHON;
const skip = python ? false : 'COUNTERSIGN_PYTHON names no interpreter with the requirements';

/** Runs a program that says which address a browser must open, reads where it came back, and says what it learned. */
async function run(program, house, env = {}) {
  const child = spawn(python, [fileURLToPath(new URL(`python/${program}`, import.meta.url)), house.issuer, APP], {
    env: { ...process.env, ...secrets, ...env }, stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    assert.ok(!done, 'the client ended early');
    return JSON.parse(value);
  };
  const { url } = await next();
  child.stdin.end(`${await signIn(url)}\n`);
  return { url, seen: await next() };
}

test('a Python client signs in, refreshes and revokes', { skip }, async () => {
  const house = await start();
  try {
    const { seen } = await run('client.py', house);
    assert.equal(seen.userinfo.email, 'ada@upstream.example');
    assert.deepEqual(seen.userinfo.groups, ['analysts']);
    assert.deepEqual(seen.again, seen.userinfo);
    assert.equal(seen.after_revocation, 401);
  } finally {
    await house.stop();
  }
});

test('a Python client with a key instead of a secret pushes its request and gets signed userinfo', { skip }, async () => {
  const key = await newKey('ES256');
  const house = await start({
    env: { CLIENT_KEYS: JSON.stringify({ keys: [key.jwk] }) },
    more: `
[[client]]
id = "python"
name = "Python"
jwks = "env:CLIENT_KEYS"
redirect_uris = ["${APP}"]
scopes = ["openid", "profile", "offline_access"]
userinfo_alg = "ES256"
require_pushed_authorization_requests = true
first_party = true
`,
  });
  try {
    const { url, seen } = await run('keys.py', house, { CLIENT_KEY: JSON.stringify(key.privateJwk) });
    assert.deepEqual([...new URL(url).searchParams.keys()], ['client_id', 'request_uri']);
    assert.equal(seen.name, 'Ada Lovelace');
    assert.match(seen.type, /^application\/jwt/);
    assert.equal(seen.after_revocation, 401);
  } finally {
    await house.stop();
  }
});
