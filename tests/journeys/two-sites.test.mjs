// The journey over TLS, with broker, provider and app on sites of their own: ports of localhost are one site
// to a browser, and hide faults of cookies.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  browserFor, cancelAtProvider, chooseProvider, demoFor, freePortBase, journey, noFaults, personAt, pickPerson, screenshot,
  whoNotesSees,
} from './support.mjs';

// The broker may reach providers on this very machine only while its own host is a loopback one; `localhost` is
// as much a site of its own as the others.
const HOSTS = {
  broker: 'localhost', globex: 'globex.test', friendbook: 'friendbook.test', notes: 'notes.test',
};

/** A certificate authority that lives for this test, and one certificate of it for all hosts. */
function makeCertificates(folder) {
  const file = (name) => path.join(folder, name);
  const openssl = (...parts) => execFileSync('openssl', parts, { stdio: ['ignore', 'pipe', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2',
    '-subj', '/CN=Countersign journeys CA',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign',
  );
  openssl('req', '-new', ...key, '-keyout', file('tls.key'), '-out', file('tls.csr'), '-subj', '/CN=countersign.test');
  const names = Object.values(HOSTS).map((host) => `DNS:${host}`).join(',');
  writeFileSync(file('tls.ext'), `subjectAltName=${names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`);
  openssl(
    'x509', '-req', '-in', file('tls.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial',
    '-out', file('tls.pem'), '-days', '2', '-extfile', file('tls.ext'),
  );
  const { publicKey } = new X509Certificate(readFileSync(file('tls.pem')));
  const spki = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
  return { ca: file('ca.pem'), certificate: file('tls.pem'), key: file('tls.key'), spki };
}

/** Broker, stand-ins and Notes over TLS, each under its own name. */
async function demoOnSites(context, tls, folder) {
  const portBase = await freePortBase();
  const ports = { broker: portBase, globex: portBase + 1, friendbook: portBase + 2, notes: portBase + 4 };
  const addresses = { management: `http://127.0.0.1:${portBase + 9}` };
  for (const [name, host] of Object.entries(HOSTS)) addresses[name] = `https://${host}:${ports[name]}`;

  // The processes resolve these names by a file of ours, as the browser does by --host-resolver-rules.
  const hosts = path.join(folder, 'hosts');
  writeFileSync(hosts, `127.0.0.1 ${Object.values(HOSTS).join(' ')}\n`);
  const env = {
    LD_PRELOAD: 'libnss_wrapper.so', NSS_WRAPPER_HOSTS: hosts, NODE_EXTRA_CA_CERTS: tls.ca,
    TLS_CERT: tls.certificate, TLS_KEY: tls.key,
  };
  const rewrite = (name, text) => {
    let changed = text;
    for (const host of Object.keys(HOSTS)) {
      changed = changed.replaceAll(`http://localhost:${ports[host]}`, addresses[host]);
    }
    if (name === 'providers.toml') {
      return changed.replaceAll('allow_loopback = true', `allow_loopback = true\nca_file = "${tls.ca}"`);
    }
    return changed.replace(
      '[public]', `[public]\ntls = { certificate = "${tls.certificate}", key = "${tls.key}" }`,
    );
  };
  return demoFor(context, { portBase, addresses, rewrite, env });
}

journey('over TLS on sites of their own: sign in, cancel and choose again, sign out', async (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-tls-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const tls = makeCertificates(folder);
  const demo = await demoOnSites(context, tls, folder);
  const browser = await browserFor(context, [
    `--host-resolver-rules=${Object.values(HOSTS).map((host) => `MAP ${host} 127.0.0.1`).join(',')}`,
    `--ignore-certificate-errors-spki-list=${tls.spki}`,
  ]);
  const page = await personAt(browser);

  await page.goto(`${demo.addresses.notes}/notes/42`);
  await page.waitForURL(`${demo.addresses.broker}/**`);
  const cookies = await page.context().cookies(demo.addresses.broker);
  assert.ok(cookies.length > 0, 'the sign-in is bound to the browser by a cookie');
  for (const { name, secure, httpOnly } of cookies) {
    assert.match(name, /^__Host-/);
    assert.equal(secure, true, name);
    assert.equal(httpOnly, true, name);
  }
  await chooseProvider(page, 'friendbook');
  await cancelAtProvider(page);
  await page.waitForURL(`${demo.addresses.broker}/**`);
  await chooseProvider(page, 'globex');
  await page.waitForURL(`${demo.addresses.globex}/**`);
  await pickPerson(page, 'alice');
  await page.waitForURL(`${demo.addresses.notes}/notes/42`);
  const alice = await whoNotesSees(page);
  assert.deepEqual(alice.groups, ['engineers']);
  assert.deepEqual(alice.permissions, ['notes:write']);
  await screenshot(page, 'two-sites-alice');

  const session = (await page.context().cookies(demo.addresses.broker)).find(({ name }) => name === '__Host-cs_session');
  assert.ok(session, 'the session cookie has its prefix');
  assert.equal(session.secure && session.httpOnly, true);

  await page.locator('#sign-out').click();
  await page.locator('#signed-out').waitFor();
  await page.locator('#sign-in').click();
  await page.waitForURL(`${demo.addresses.broker}/**`);
  await chooseProvider(page, 'friendbook');
  await pickPerson(page, 'alice');
  assert.notEqual((await whoNotesSees(page)).sub, alice.sub);
  noFaults(page);
});
