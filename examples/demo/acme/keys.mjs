// Acme's key and its self-signed certificate, made by openssl at the first start and kept in its folder.

import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DAYS = 3650;

/** A new RSA key and a certificate for it, written to two files of a folder. */
async function make(folder, name) {
  const file = (ending) => path.join(folder, `${name}.${ending}`);
  await run('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-sha256', '-days', String(DAYS), '-subj', '/O=Acme/CN=Acme SAML',
    '-keyout', file('key.part'), '-out', file('pem'),
  ]);
  // Last, and at once: a key stands for the pair.
  await rename(file('key.part'), file('key'));
}

/**
 * The pair of this name in a folder; without a folder, one that nobody keeps.
 *
 * @returns `{ key, certificate }` as PEM, and `base64`, the certificate as metadata writes it
 */
export async function keyPair(dataDir, name = 'saml') {
  const folder = dataDir ?? await mkdtemp(path.join(tmpdir(), 'acme-'));
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = (ending) => path.join(folder, `${name}.${ending}`);
    if (!existsSync(file('key'))) await make(folder, name);
    const [key, certificate] = await Promise.all([readFile(file('key'), 'utf8'), readFile(file('pem'), 'utf8')]);
    return { key, certificate, base64: new X509Certificate(certificate).raw.toString('base64') };
  } finally {
    if (dataDir === undefined) await rm(folder, { recursive: true, force: true });
  }
}
