// A client in another language: Authlib, unmodified.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { APP, secrets, signIn, start } from './lib/setup.mjs';

const python = process.env.COUNTERSIGN_PYTHON;

test('a Python client signs in, refreshes and revokes', { skip: python ? false : 'COUNTERSIGN_PYTHON names no interpreter with the requirements' }, async () => {
  const house = await start();
  try {
    const child = spawn(python, [fileURLToPath(new URL('python/client.py', import.meta.url)), house.issuer, APP], {
      env: { ...process.env, ...secrets }, stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => {
      const { value, done } = await lines.next();
      assert.ok(!done, 'the client ended early');
      return JSON.parse(value);
    };
    const { url } = await next();
    child.stdin.end(`${await signIn(url)}\n`);
    const seen = await next();
    assert.equal(seen.userinfo.email, 'ada@upstream.example');
    assert.deepEqual(seen.userinfo.groups, ['analysts']);
    assert.deepEqual(seen.again, seen.userinfo);
    assert.equal(seen.after_revocation, 401);
  } finally {
    await house.stop();
  }
});
