// Demos over TLS, with broker, providers and app on sites of their own: ports of localhost are one site to a browser,
// and hide faults of cookies.

import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { browserFor, demoFor, freePortBase } from './support.mjs';

const OFFSETS = { broker: 0, globex: 1, friendbook: 2, acme: 3, notes: 4 };

/** A certificate authority that lives for this test, and one certificate of it for all hosts. */
function makeCertificates(folder, hosts) {
  const file = (name) => path.join(folder, name);
  const openssl = (...parts) => execFileSync('openssl', parts, { stdio: ['ignore', 'pipe', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '2',
    '-subj', '/CN=Countersign journeys CA',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign',
  );
  openssl('req', '-new', ...key, '-keyout', file('tls.key'), '-out', file('tls.csr'), '-subj', '/CN=countersign.test');
  const names = hosts.map((host) => `DNS:${host}`).join(',');
  writeFileSync(file('tls.ext'), `subjectAltName=${names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`);
  openssl(
    'x509', '-req', '-in', file('tls.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial',
    '-out', file('tls.pem'), '-days', '2', '-extfile', file('tls.ext'),
  );
  const { publicKey } = new X509Certificate(readFileSync(file('tls.pem')));
  const spki = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
  return { ca: file('ca.pem'), certificate: file('tls.pem'), key: file('tls.key'), spki };
}

/**
 * Broker, stand-ins and Notes over TLS, each under its own name, and a browser that finds them.
 *
 * @param hosts names by what they are: `broker`, `globex` …
 * @param others more names that the certificate and the browser know
 * @param providers, settings change `providers.toml` and `countersign.toml` further
 * @param prepare `({ dataDir, addresses })`: what must be there before anything starts
 */
export async function demoOnSites(context, { hosts, others = [], providers = (text) => text, settings = (text) => text, prepare = () => {}, ...options }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-tls-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const names = [...Object.values(hosts), ...others];
  const tls = makeCertificates(folder, names);
  const portBase = await freePortBase();
  const ports = Object.fromEntries(Object.entries(OFFSETS).map(([name, offset]) => [name, portBase + offset]));
  const addresses = { management: `http://127.0.0.1:${portBase + 9}` };
  for (const [name, host] of Object.entries(hosts)) addresses[name] = `https://${host}:${ports[name]}`;

  // The processes resolve these names by a file of ours, as the browser does by --host-resolver-rules.
  const hostsFile = path.join(folder, 'hosts');
  writeFileSync(hostsFile, `127.0.0.1 ${names.join(' ')}\n`);
  const env = {
    LD_PRELOAD: 'libnss_wrapper.so', NSS_WRAPPER_HOSTS: hostsFile, NODE_EXTRA_CA_CERTS: tls.ca,
    TLS_CERT: tls.certificate, TLS_KEY: tls.key,
  };
  const rewrite = (name, text) => {
    let changed = text;
    for (const host of Object.keys(hosts)) {
      changed = changed.replaceAll(`http://localhost:${ports[host]}`, addresses[host]);
    }
    if (name === 'providers.toml') {
      return providers(changed.replaceAll('allow_loopback = true', `allow_loopback = true\nca_file = "${tls.ca}"`));
    }
    return settings(changed).replace(
      '[public]', `[public]\ntls = { certificate = "${tls.certificate}", key = "${tls.key}" }`,
    );
  };
  const dataDir = mkdtempSync(path.join(tmpdir(), 'countersign-demo-'));
  await prepare({ dataDir, addresses });
  const demo = await demoFor(context, { dataDir, portBase, addresses, rewrite, env, ...options });
  const browser = await browserFor(context, [
    `--host-resolver-rules=${names.map((host) => `MAP ${host} 127.0.0.1`).join(',')}`,
    `--ignore-certificate-errors-spki-list=${tls.spki}`,
  ]);
  return { demo, browser, tls };
}
