// What the README tells people to write is what `countersign check` takes, and so is the demo's configuration.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { blocks } from './blocks.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BINARY = process.env.COUNTERSIGN_BIN ?? path.join(ROOT, 'target/debug/countersign');

function folderFor(context) {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-snippets-'));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function check(folder, env = {}) {
  const { status, stdout, stderr } = spawnSync(BINARY, ['check', '--config', path.join(folder, 'countersign.toml')], {
    cwd: folder, env: { PATH: process.env.PATH, ...env }, encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

test('the README’s way to production passes the check', (context) => {
  const folder = folderFor(context);
  const [providers, settings, ...rest] = blocks(readFileSync(path.join(ROOT, 'README.md'), 'utf8'), 'toml');
  assert.equal(rest.length, 0, 'a new block must be checked here too');
  writeFileSync(path.join(folder, 'providers.toml'), providers);
  writeFileSync(path.join(folder, 'countersign.toml'), settings);
  const secrets = {
    GOOGLE_CLIENT_SECRET: 'a-secret-that-google-would-show', COUNTERSIGN_MASTER_KEY: `${'3q2+7w'.repeat(7)}8=`,
  };
  const { status, output } = check(folder, secrets);
  assert.equal(status, 0, output);
  assert.doesNotMatch(output, /warning/);
  assert.equal(check(folder).status, 1, 'without the secrets it does not pass');
});

test('the demo’s configuration passes the check', (context) => {
  const folder = folderFor(context);
  cpSync(path.join(ROOT, 'examples/demo'), folder, { recursive: true, filter: (file) => !/node_modules/.test(file) });
  const { status, output } = check(folder);
  assert.equal(status, 0, output);
});
