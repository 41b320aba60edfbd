// Glewlwyd, unmodified: a provider in C (rhonabwy, GnuTLS), as Debian ships it. Its own pages are a program of JavaScript
// over its API, which is spoken to here.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exportJWK, generateKeyPair } from 'jose';

const run = promisify(execFile);
const HOME = process.env.COUNTERSIGN_GLEWLWYD;
const PASSWORD = 'only for this one test run';
/** It takes Basic authentication as it comes, and does not decode it (RFC 6749 §2.3.1): so nothing may need encoding. */
export const SECRET = 'onlyForTheseTests0123456789abcdefghi';
/** What its first start leaves in the database. */
const ADMIN = { username: 'admin', password: 'password' };
const SCOPES = ['openid', 'email', 'profile', 'groups'];

export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

const PEOPLE = {
  ada: { name: 'Ada Lovelace', groups: ['analysts', 'poets'] },
  grace: { name: 'Grace Hopper', groups: ['poets'] },
};

/** Instances of its plugin for OpenID Connect, and what each demands. */
const ISSUERS = { usual: {}, unnamed: { 'oauth-as-iss-id': false }, pushed: { 'oauth-par-required': true }, pkce: { 'pkce-required': true } };
export const NAMES = Object.keys(ISSUERS);
const path = (name) => `/api/${name}`;
export const issuerAt = (port, name) => `http://localhost:${port}${path(name)}`;

/** A key for each algorithm; those of RSA are one and the same, which is quicker to make. */
async function signingKeys() {
  const make = async (alg) => exportJWK((await generateKeyPair(alg, { extractable: true })).privateKey);
  const rsa = await make('RS256');
  return Promise.all(ALGORITHMS.map(async (alg) => ({ ...(/^[RP]S/.test(alg) ? rsa : await make(alg)), kid: alg, alg })));
}

const settings = (folder, port) => `
port=${port}
bind_address="127.0.0.1"
external_url="http://localhost:${port}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="DEBUG"
cookie_secure=0
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="${HOME}/usr/lib/glewlwyd/user"
client_module_path="${HOME}/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="${HOME}/usr/lib/glewlwyd/scheme"
plugin_module_path="${HOME}/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = { type = "sqlite3"; path = "${folder}/glewlwyd.db"; };
`;

/** A session with its API. */
function session(url) {
  let cookie;
  return async (method, where, body) => {
    const answer = await fetch(`${url}/api${where}`, {
      method, body: body && JSON.stringify(body), headers: { 'content-type': 'application/json', ...(cookie ? { cookie } : {}) },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`Glewlwyd answered ${answer.status} to ${method} ${where}: ${text}`);
    const [set] = answer.headers.getSetCookie();
    if (set) cookie = set.split(';')[0];
    return text ? JSON.parse(text) : undefined;
  };
}

const plugin = (port, name, keys) => ({
  module: 'oidc', name, display_name: name, enabled: true,
  parameters: {
    iss: issuerAt(port, name), 'jwks-private': JSON.stringify({ keys }), 'default-kid': 'RS256', 'client-sign_kid-parameter': 'sign_kid',
    'access-token-duration': 300, 'refresh-token-duration': 3600, 'code-duration': 60, 'allow-non-oidc': false,
    'auth-type-code-enabled': true, 'auth-type-refresh-enabled': true, 'jwks-show': true, 'allowed-scope': SCOPES,
    'request-parameter-allow': true, 'request-parameter-ietf-strict': true, 'client-jwks-parameter': 'jwks', 'client-pubkey-parameter': 'pubkey',
    'pkce-allowed': true, 'pkce-method-plain-allowed': false, 'oauth-as-iss-id': true,
    'oauth-par-allowed': true, 'oauth-par-required': false, 'oauth-par-request_uri-prefix': 'urn:ietf:params:oauth:request_uri:', 'oauth-par-duration': 60,
    'encrypt-out-token-allow': true, 'client-enc-parameter': 'enc', 'client-alg-parameter': 'alg', 'client-alg_kid-parameter': 'alg_kid',
    'client-encrypt_id_token-parameter': 'encrypt_id_token', 'client-encrypt_userinfo-parameter': 'encrypt_userinfo',
    'name-claim': 'mandatory', 'email-claim': 'mandatory',
    claims: [
      { name: 'groups', 'user-property': 'groups', type: 'string', mandatory: true },
      { name: 'email_verified', 'user-property': 'email_verified', type: 'boolean', 'boolean-value-true': '1', 'boolean-value-false': '0', mandatory: true },
    ],
    ...ISSUERS[name],
  },
});

/**
 * Starts it.
 *
 * @param port where
 * @param clients of `startOidcHouse`; a variation has `issuer` (one of `NAMES`) and `client`, what its API calls so
 * @param keys the broker's own
 */
export async function startGlewlwyd({ port, clients, keys }) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-glewlwyd-'));
  const url = `http://localhost:${port}`;
  const said = [];
  let child;
  const stop = async () => {
    child?.kill('SIGTERM');
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await writeFile(join(folder, 'glewlwyd.conf'), settings(folder, port));
    const schema = await readFile(`${HOME}/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3`, 'utf8');
    await writeFile(join(folder, 'schema.sql'), `PRAGMA synchronous=OFF; BEGIN;\n${schema}\nCOMMIT;`);
    await run('sqlite3', [join(folder, 'glewlwyd.db'), `.read ${join(folder, 'schema.sql')}`]);
    child = spawn(`${HOME}/usr/bin/glewlwyd`, ['--config-file', join(folder, 'glewlwyd.conf')], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
    child.once('error', (error) => said.push(error.message));
    for (let tries = 0; ; tries += 1) {
      if (await fetch(`${url}/config`).then((answer) => answer.ok, () => false)) break;
      if (tries > 200 || child.exitCode !== null) throw new Error(`Glewlwyd did not start:\n${said.join('')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const admin = session(url);
    await admin('POST', '/auth', ADMIN);
    const signing = await signingKeys();
    for (const scope of SCOPES.slice(1)) await admin('POST', '/scope/', { name: scope, display_name: scope, password_required: true });
    const property = { multiple: false, read: true, write: true };
    const users = await admin('GET', '/mod/user/database');
    users.parameters['data-format'] = { ...users.parameters['data-format'], groups: { ...property, multiple: true }, email_verified: property };
    await admin('PUT', '/mod/user/database', users);
    await admin('PUT', '/mod/user/database/reset');
    const known = await admin('GET', '/mod/client/database');
    known.parameters['data-format'] = { ...known.parameters['data-format'], sign_kid: property };
    await admin('PUT', '/mod/client/database', known);
    await admin('PUT', '/mod/client/database/reset');
    for (const name of NAMES) await admin('POST', '/mod/plugin/', plugin(port, name, signing));
    const jwks = { keys: Object.values(keys).map(({ jwk }) => jwk) };
    for (const { id, redirectUri, logoutUri, variation: { client = {} } } of clients) {
      const confidential = !client.public;
      await admin('POST', '/client/', {
        client_id: id, name: id, enabled: true, confidential, ...(confidential ? { client_secret: SECRET } : {}),
        redirect_uri: [redirectUri], authorization_type: ['code', 'refresh_token'], scope: SCOPES, jwks, backchannel_logout_uri: logoutUri,
        token_endpoint_auth_method: ['client_secret_basic'], ...client, public: undefined,
      });
    }
    for (const [username, person] of Object.entries(PEOPLE)) {
      await admin('POST', '/user/', {
        username, password: PASSWORD, enabled: true, scope: SCOPES, email: `${username}@upstream.example`, email_verified: '1', ...person,
      });
    }
    const issuers = Object.fromEntries(clients.map(({ id, variation }) => [id, issuerAt(port, variation.issuer ?? 'usual')]));
    return {
      url, stop,
      authorize: (id) => `${issuers[id]}/auth?`,
      log: () => said.splice(0).join('').slice(-4000),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What its login page does: a password, the grant, and back to where the browser came from. */
export async function signInAtGlewlwyd(browser, page, user, stopAt) {
  const login = page.url;
  const callback = login.searchParams.get('callback_url');
  const json = async (method, where, body) => browser.open(new URL(where, login), {
    method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' },
  });
  const ok = (answer) => { if (answer.status !== 200) throw new Error(`Glewlwyd answered ${answer.status}: ${answer.text}`); };
  ok(await json('POST', '/api/auth', { username: user, password: PASSWORD }));
  ok(await json('PUT', `/api/auth/grant/${login.searchParams.get('client_id')}`, { scope: login.searchParams.get('scope') }));
  return browser.open(`${callback}&g_continue`, { stopAt });
}
