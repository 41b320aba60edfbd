// The demo's starter, with a broker of ten lines in place of the real one.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkPorts, withPortBase } from '../demo.mjs';

const STARTER = fileURLToPath(new URL('../demo.mjs', import.meta.url));

const BROKER = `#!${process.execPath}
const http = require('node:http');
const fs = require('node:fs');
if (process.argv[2] === 'saml-key') {
  fs.writeFileSync(process.argv[3], 'a key', { flag: 'wx' });
  process.exit(0);
}
const file = process.argv[process.argv.indexOf('--config') + 1];
const port = Number(/^issuer = "http:\\/\\/localhost:(\\d+)"/m.exec(fs.readFileSync(file, 'utf8'))[1]);
if (fs.existsSync(file.replace('countersign.toml', 'broken'))) {
  console.log('this broker is broken');
  process.exit(3);
}
http.createServer((_, response) => response.end('ok')).listen(port, '127.0.0.1');
http.createServer((_, response) => response.end('ok')).listen(port + 9, '127.0.0.1');
`;

async function freeBase() {
  for (;;) {
    const base = 20000 + Math.floor(Math.random() * 2000) * 10;
    if (await checkPorts(base).then(() => true, () => false)) return base;
  }
}

function folderFor(context) {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-starter-'));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'broker'), BROKER);
  chmodSync(path.join(folder, 'broker'), 0o755);
  return folder;
}

/** Runs the starter as a program. */
function starter(context, folder, base, ...more) {
  const child = spawn(process.execPath, [
    STARTER, '--binary', path.join(folder, 'broker'), '--data', folder, '--port-base', String(base), ...more,
  ], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  context.after(() => child.kill('SIGKILL'));
  let output = '';
  let wake = () => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => { output += data; wake(); });
  }
  const ended = new Promise((resolve) => child.on('close', (code) => { resolve(code); wake(); }));
  const says = async (text) => {
    while (!output.includes(text)) {
      assert.equal(child.exitCode, null, `ended without saying ${text}:\n${output}`);
      await new Promise((resolve) => { wake = resolve; });
    }
  };
  return { child, ended, says, output: () => output };
}

test('addresses follow the port base', () => {
  const text = 'a = "http://localhost:8084/x", b = "127.0.0.1:8089", c = 18080, d = "http://127.0.0.1/callback"';
  assert.equal(
    withPortBase(text, 9100),
    'a = "http://localhost:9104/x", b = "127.0.0.1:9109", c = 18080, d = "http://127.0.0.1/callback"',
  );
  assert.equal(withPortBase(text, 8080), text);
});

test('it starts, keeps data, starts anew with --fresh, and leaves nothing running', async (context) => {
  const folder = folderFor(context);
  const base = await freeBase();
  const kept = path.join(folder, String(base), 'kept');
  for (const [arguments_, found] of [[[], false], [[], true], [['--fresh'], false]]) {
    const run = starter(context, folder, base, ...arguments_);
    await run.says(`Open http://localhost:${base + 4} and sign in`);
    assert.equal(existsSync(kept), found);
    writeFileSync(kept, '');
    assert.match(await (await fetch(`http://localhost:${base + 1}/`)).text(), /Globex/);
    const copied = readFileSync(path.join(folder, String(base), 'countersign.toml'), 'utf8');
    assert.match(copied, new RegExp(`issuer = "http://localhost:${base}"`));
    assert.equal(readFileSync(path.join(folder, String(base), 'secrets', 'acme.pem'), 'utf8'), 'a key');
    assert.match(await (await fetch(`http://localhost:${base + 3}/`)).text(), /Acme/);
    // As the terminal does it: to the whole process group.
    process.kill(-run.child.pid, 'SIGINT');
    assert.equal(await run.ended, 0, run.output());
    await checkPorts(base);
  }
});

test('a taken port is named before anything is deleted', async (context) => {
  const folder = folderFor(context);
  const base = await freeBase();
  const squatter = net.createServer();
  await new Promise((resolve) => squatter.listen(base + 2, '127.0.0.1', resolve));
  context.after(() => squatter.close());
  const run = starter(context, folder, base, '--fresh');
  assert.equal(await run.ended, 1);
  assert.match(run.output(), new RegExp(`Port ${base + 2} is taken, and Friendbook needs it`));
  assert.match(run.output(), /--port-base/);
});

test('a broker that ends takes the others along, and its last words are shown', async (context) => {
  const folder = folderFor(context);
  const base = await freeBase();
  const first = starter(context, folder, base);
  await first.says('Ctrl-C');
  first.child.kill('SIGTERM');
  await first.ended;
  writeFileSync(path.join(folder, String(base), 'broken'), '');
  const run = starter(context, folder, base);
  assert.equal(await run.ended, 1);
  assert.match(run.output(), /broker stopped \(exit code 3\)/);
  assert.match(run.output(), /this broker is broken/);
  await checkPorts(base);
});

test('when the starter is killed, nothing stays behind', async (context) => {
  const folder = folderFor(context);
  const base = await freeBase();
  const run = starter(context, folder, base);
  await run.says('Ctrl-C');
  run.child.kill('SIGKILL');
  for (;;) {
    if (await checkPorts(base).then(() => true, () => false)) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('nonsense is refused', async (context) => {
  const folder = folderFor(context);
  for (const base of ['80', 'x', '70000']) {
    const run = starter(context, folder, base);
    assert.equal(await run.ended, 1);
    assert.match(run.output(), /--port-base takes a port/);
  }
});
