// SimpleSAMLphp as Debian ships it, as a SAML identity provider: in PHP's own server, with a configuration of its own.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HOME = '/usr/share/simplesamlphp';

/** A PHP file that sets a variable to what we have here. */
const php = (variable, value) => `<?php\n$${variable} = json_decode(<<<'JSON'\n${JSON.stringify(value)}\nJSON\n, true);\n`;

const PARTNERS = `<?php
// What a partner publishes of itself, and how this one is to be answered.
foreach (json_decode(file_get_contents(dirname(__DIR__) . '/partners.json'), true) as $partner) {
    $known = \\SimpleSAML\\Metadata\\SAMLParser::parseString($partner['metadata'])->getMetadata20SP();
    $metadata[$known['entityid']] = $partner['variation'] + $known;
}
`;

/**
 * Starts it.
 *
 * @param people by login: the attributes, each a list
 * @param partners `metadata` (XML) and `variation`, as saml20-sp-remote has it: saml20.sign.response, assertion.encryption …
 * @param keys `key` and `certificate` as PEM; `next`, the same, is published beside it
 */
export async function startSimpleSaml({ port, keys, people, partners }) {
  const url = `http://localhost:${port}`;
  const entityId = `${url}/saml2/idp/metadata.php`;
  const folder = await mkdtemp(join(tmpdir(), 'countersign-simplesamlphp-'));
  const file = (...names) => join(folder, ...names);
  for (const name of ['config', 'metadata', 'cert', 'log', 'data', 'temp', 'sessions']) await mkdir(file(name));
  const write = (name, text) => writeFile(file(...name.split('/')), text, { mode: 0o600 });
  await write('config/config.php', php('config', {
    baseurlpath: `${url}/`, certdir: `${file('cert')}/`, loggingdir: `${file('log')}/`, datadir: `${file('data')}/`,
    tempdir: file('temp'), metadatadir: `${file('metadata')}/`, attributenamemapdir: '/etc/simplesamlphp/attributemap/',
    timezone: 'UTC', secretsalt: 'only for this one test run', 'auth.adminpassword': 'nobody signs in by it',
    'admin.checkforupdates': false, 'enable.saml20-idp': true, 'module.enable': { exampleauth: true, core: true, saml: true },
    'logging.handler': 'file', 'logging.level': 6, showerrors: true, errorreporting: false, debug: { saml: false, backtraces: true },
    'session.cookie.secure': false, 'session.cookie.samesite': null, 'session.phpsession.savepath': file('sessions'),
    'session.phpsession.cookiename': 'SimpleSAML', 'store.type': 'phpsession', 'trusted.url.domains': [],
    'language.available': ['en'], 'language.default': 'en', 'language.cookie.secure': false,
    'authproc.idp': [], 'metadata.sources': [{ type: 'flatfile' }],
  }));
  await write('config/authsources.php', php('config', {
    admin: ['core:AdminPassword'],
    people: Object.fromEntries([['0', 'exampleauth:UserPass'],
      ...Object.entries(people).map(([name, attributes]) => [`${name}:any`, { uid: [name], ...attributes }])]),
  }));
  await write('metadata/saml20-idp-hosted.php', php('metadata', {
    [entityId]: {
      host: '__DEFAULT__', auth: 'people', privatekey: 'idp.key', certificate: 'idp.pem',
      ...(keys.next ? { new_privatekey: 'next.key', new_certificate: 'next.pem' } : {}),
      'attributes.NameFormat': 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
      'NameIDFormat': 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
      'simplesaml.nameidattribute': 'uid',
      authproc: { 3: { class: 'saml:AttributeNameID', attribute: 'uid', Format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' }, 90: { class: 'core:AttributeMap', 0: 'name2oid' } },
      'SingleSignOnServiceBinding': ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
      'SingleLogoutServiceBinding': ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
      'redirect.validate': true, 'validate.authnrequest': true, 'redirect.sign': true, 'sign.logout': true, 'validate.logout': true,
    },
  }));
  await write('metadata/saml20-sp-remote.php', PARTNERS);
  await write('partners.json', JSON.stringify(partners));
  for (const [name, pair] of [['idp', keys], ['next', keys.next]]) {
    if (!pair) continue;
    await write(`cert/${name}.key`, pair.key);
    await write(`cert/${name}.pem`, pair.certificate);
  }
  const said = [];
  const child = spawn('php', ['-d', 'display_errors=stderr', '-d', 'error_reporting=22517', '-S', `127.0.0.1:${port}`, '-t', `${HOME}/www`], {
    env: { ...process.env, SIMPLESAMLPHP_CONFIG_DIR: file('config') }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
  let exited;
  child.once('error', (error) => { exited = error.message; });
  const gone = new Promise((resolve) => child.once('exit', (code, signal) => { exited = code ?? signal; resolve(); }));
  for (let tries = 0; ; tries += 1) {
    const answer = exited === undefined ? await fetch(entityId).catch(() => undefined) : undefined;
    if (answer?.ok) break;
    if (exited !== undefined || tries > 200) {
      child.kill('SIGKILL');
      throw new Error(`SimpleSAMLphp did not start (${exited ?? await answer?.text()}):\n${said.join('')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const account = `${url}/module.php/core/authenticate.php?as=people`;
  return {
    /** Who is signed in there, by its own page. */
    async who(browser) {
      const page = await browser.open(account);
      return page.root.querySelector('input[name=username]') ? 'nobody' : /\b(ada|grace)\b/.exec(page.text)[1];
    },
    signOut: (browser) => browser.open(`${url}/saml2/idp/initSLO.php?RelayState=${encodeURIComponent(`${url}/logout.php`)}`),
    url, entityId,
    vary: (now) => write('partners.json', JSON.stringify(now)),
    log: () => said.join(''),
    async stop() {
      child.kill('SIGTERM');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
