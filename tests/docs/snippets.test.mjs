// What the README tells people to write is what `countersign check` takes, and so is the demo's configuration.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
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

function run(folder, args, env = {}) {
  return spawnSync(BINARY, args, { cwd: folder, env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' });
}

function check(folder, env = {}) {
  const { status, stdout, stderr } = run(folder, ['check', '--config', path.join(folder, 'countersign.toml')], env);
  return { status, output: stdout + stderr };
}

const MASTER_KEY = { COUNTERSIGN_MASTER_KEY: `${'3q2+7w'.repeat(7)}8=` };

/** A provider's metadata, as its console gives it out. */
function metadata(entity, certificate) {
  const key = certificate.replaceAll(/-----[^-]+-----|\s/g, '');
  return `<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${entity}">
  <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>
      <ds:X509Certificate>${key}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
      Location="https://idp.example/sso"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>
`;
}

test('each provider of the guide to SAML passes the check, and all of them together', (context) => {
  const folder = folderFor(context);
  const key = (name) => JSON.parse(run(folder, ['saml-key', name, '--json']).stdout).certificate;
  key('hooli.key.pem');
  const certificate = key('other.key.pem');
  writeFileSync(path.join(folder, 'vandelay.pem'), certificate);
  writeFileSync(path.join(folder, 'google.xml'), metadata('https://accounts.google.com/o/saml2?idpid=C01abc2de', certificate));
  const [, settings] = blocks(readFileSync(path.join(ROOT, 'README.md'), 'utf8'), 'toml');
  // what the guide’s rules give is declared, as it says
  writeFileSync(path.join(folder, 'countersign.toml'), `${settings}\n[groups.editors]\n[roles.admin]\n`);
  const providers = blocks(readFileSync(path.join(ROOT, 'docs/saml.md'), 'utf8'), 'toml');
  assert.ok(providers.length >= 6, 'the blocks are found');
  for (const text of [...providers, providers.join('\n')]) {
    writeFileSync(path.join(folder, 'providers.toml'), text);
    const { status, output } = check(folder, MASTER_KEY);
    assert.equal(status, 0, `${text}\n${output}`);
  }
});

test('the README’s way to production passes the check', (context) => {
  const folder = folderFor(context);
  const [providers, settings, ...rest] = blocks(readFileSync(path.join(ROOT, 'README.md'), 'utf8'), 'toml');
  assert.equal(rest.length, 0, 'a new block must be checked here too');
  writeFileSync(path.join(folder, 'providers.toml'), providers);
  writeFileSync(path.join(folder, 'countersign.toml'), settings);
  const secrets = {
    GOOGLE_CLIENT_SECRET: 'a-secret-that-google-would-show', ...MASTER_KEY,
  };
  const { status, output } = check(folder, secrets);
  assert.equal(status, 0, output);
  assert.doesNotMatch(output, /warning/);
  assert.equal(check(folder).status, 1, 'without the secrets it does not pass');
});

test('the demo’s configuration passes the check', (context) => {
  const folder = folderFor(context);
  cpSync(path.join(ROOT, 'examples/demo'), folder, { recursive: true, filter: (file) => !/node_modules/.test(file) });
  // the demo makes its key at the first start
  assert.equal(run(folder, ['saml-key', path.join('secrets', 'acme.pem')]).status, 0);
  const { status, output } = check(folder);
  assert.equal(status, 0, output);
});

test('what docs/providers.md says to write passes the check, for each preset', (context) => {
  const folder = folderFor(context);
  const tables = blocks(readFileSync(path.join(ROOT, 'docs/providers.md'), 'utf8'), 'toml');
  const { stdout } = spawnSync(BINARY, ['preset', 'list', '--json'], { encoding: 'utf8' });
  // those of SAML have a page of their own, docs/saml.md
  const presets = JSON.parse(stdout).filter((preset) => preset.kind !== 'saml');
  const named = tables.map((table) => /^preset = "(.*)"$/m.exec(table)?.[1]);
  // one table shows what there is no preset for
  assert.deepEqual(named.filter(Boolean).toSorted(), presets.map((preset) => preset.name), 'each preset has its table, once');
  writeFileSync(path.join(folder, 'providers.toml'), tables.join('\n'));
  const secrets = Object.fromEntries(
    tables.flatMap((table) => [...table.matchAll(/"env:(\w+)"/g)]).map(([, name]) => [name, '0f1e2d3c4b5a69788796a5b4c3d2e1f0']),
  );
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (const name of ['AuthKey_ABC123DEFG.p8', 'bank.pem']) {
    writeFileSync(path.join(folder, name), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  }
  writeFileSync(path.join(folder, 'countersign.toml'), 'issuer = "https://id.example.com"\nmaster_key = "env:MASTER"\n');
  const { status, output } = check(folder, { ...secrets, MASTER: `${'3q2+7w'.repeat(7)}8=` });
  assert.equal(status, 0, output);
  // the check tells where those in use leave the specifications, and so does the page
  const page = readFileSync(path.join(ROOT, 'docs/providers.md'), 'utf8').replaceAll('\\|', '|');
  for (const { rule, theirs, ours } of presets.flatMap((preset) => preset.deviations)) {
    for (const text of [rule, theirs, ours]) {
      assert.ok(output.includes(text), `the check does not say: ${text}`);
      assert.ok(page.includes(text), `docs/providers.md does not say: ${text}`);
    }
  }
});
