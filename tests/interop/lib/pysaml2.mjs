// A SAML identity provider of pysaml2 (saml/pysaml2_idp.py), on a port of its own.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../saml/pysaml2_idp.py', import.meta.url));

const variants = (partners) => Object.fromEntries(partners.map(({ entityId, variation }) => [entityId, variation]));

/**
 * Starts it.
 *
 * @param people by login: the attributes by the names of pysaml2's attribute maps, each a list
 * @param partners `entityId`, `metadata` (XML) and a `variation`: `assertion`, `response`, `encrypt`
 * @param subjects a file in which it remembers what it calls people
 * @param keys `key` and `certificate` as PEM
 */
export async function startPysaml2({ port, keys, people, partners, subjects }) {
  const url = `http://localhost:${port}`;
  const folder = await mkdtemp(join(tmpdir(), 'countersign-pysaml2-'));
  const write = async (name, text) => { await writeFile(join(folder, name), text, { mode: 0o600 }); return join(folder, name); };
  const settings = {
    url, port, people, entity_id: `${url}/metadata`, xmlsec: '/usr/bin/xmlsec1',
    key: await write('idp.key', keys.key), certificate: await write('idp.pem', keys.certificate),
    partners: partners.map(({ entityId }) => entityId),
    metadata: await Promise.all(partners.map(({ metadata }, index) => write(`partner-${index}.xml`, metadata))),
    variants: variants(partners), subjects,
  };
  const child = spawn(process.env.COUNTERSIGN_PYTHON, [PROGRAM], { stdio: ['pipe', 'pipe', 'pipe'] });
  const said = [];
  child.stderr.on('data', (chunk) => said.push(String(chunk)));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.stdin.end(JSON.stringify(settings));
  const ready = await Promise.race([
    new Promise((resolve) => child.stdout.once('data', () => resolve(true))), gone.then(() => false),
  ]);
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
    await rm(folder, { recursive: true, force: true });
  };
  if (!ready) {
    await stop();
    throw new Error(`pysaml2 did not start:\n${said.join('')}`);
  }
  return {
    url, entityId: settings.entity_id, log: () => said.join(''), stop,
    vary: (now) => fetch(`${url}/variants`, { method: 'POST', body: JSON.stringify(variants(now)) }),
  };
}
