// Apache with mod_auth_openidc, unmodified: what the module checks is its own; what it tells the application is what
// people get who put it before an old web application.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startApache } from './lib/apache.mjs';
import { Browser } from './lib/browser.mjs';
import { startHouse, throughChooser } from './lib/demo.mjs';
import { freePorts } from './lib/ports.mjs';

const SECRET = 'apache-secret-only-for-the-tests-0123456789';

let house;
let apache;
before(async () => {
  const [port] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  house = await startHouse({
    env: { APACHE_SECRET: SECRET },
    more: `
[[client]]
id = "apache"
name = "Apache"
secret = "env:APACHE_SECRET"
redirect_uris = ["${url}/oidc/callback"]
post_logout_redirect_uris = ["${url}/open/bye"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "groups", "roles", "permissions"]
first_party = true
`,
  });
  apache = await startApache({
    port,
    lines: `
OIDCProviderMetadataURL ${house.issuer}/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret ${SECRET}
OIDCDefaultLoggedOutURL ${url}/open/bye
`,
  });
});
after(async () => { await apache?.stop(); await house?.stop(); });

/** What the application behind Apache was told. */
const told = (page) => JSON.parse(page.text).headers;

/** Asks for a page as a new person, and signs in. */
async function arrive(path, { browser = new Browser(), ...how } = {}) {
  const chooser = await browser.open(`${apache.url}${path}`);
  assert.ok(chooser.root.querySelector('[name=provider]'), `${chooser.url}\n${chooser.text}\n${await apache.log()}`);
  return throughChooser(browser, chooser, how);
}

test('a page behind Apache leads to the chooser, and back with claims and groups from userinfo', async () => {
  const page = await arrive('/page?a=1');
  assert.equal(page.status, 200, await apache.log());
  assert.equal(page.url.href, `${apache.url}/page?a=1`, 'back at the page that was asked for');
  const headers = told(page);
  assert.match(headers['x-remote-user'], /^alice@globex\.example/);
  assert.equal(headers['claim-name'], 'Alice Ahlgren');
  assert.equal(headers['claim-email_verified'], '1');
  assert.equal(headers['claim-groups'], 'engineers');
  assert.equal(headers['claim-roles'], 'editor');
  assert.equal(headers['claim-iss'], house.issuer);
  assert.equal(headers['claim-aud'], 'apache');
});

test('Require claim lets in who has the permission, and nobody else', async () => {
  const alice = await arrive('/writers/room');
  assert.equal(alice.status, 200);
  assert.equal(told(alice)['claim-permissions'], 'notes:write');
  const carol = await arrive('/writers/room', { person: 'carol' });
  assert.equal(carol.status, 403);
});

test('a claim that a stranger sends as a header does not reach the application', async () => {
  const browser = new Browser();
  await arrive('/page', { browser, person: 'carol' });
  const page = await browser.open(`${apache.url}/page`, { headers: { 'claim-permissions': 'notes:write', 'claim-planted': 'x', 'x-remote-user': 'root' } });
  assert.equal(told(page)['claim-permissions'], '');
  assert.equal(told(page)['claim-planted'], undefined);
  assert.match(told(page)['x-remote-user'], /^carol@/);
});

test('a refresh gives another access token, and the session goes on', async () => {
  const browser = new Browser();
  const before = told(await arrive('/page', { browser }))['oidc_access_token'];
  const url = new URL(`${apache.url}/oidc/callback`);
  url.search = new URLSearchParams({ refresh: `${apache.url}/page`, access_token: before });
  const page = await browser.open(url);
  assert.equal(page.url.pathname, '/page');
  assert.equal(page.url.searchParams.get('error_code'), null);
  const after = told(page)['oidc_access_token'];
  assert.ok(before && after);
  assert.notEqual(after, before);
});

test('sign-out at Apache signs out at the issuer, revokes what Apache held, and comes back', async () => {
  const browser = new Browser();
  const token = told(await arrive('/page', { browser }))['oidc_access_token'];
  const userinfo = () => fetch(`${house.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await userinfo()).status, 200);
  const bye = await browser.open(`${apache.url}/oidc/callback?logout=${encodeURIComponent(`${apache.url}/open/bye`)}`);
  assert.equal(bye.url.href, `${apache.url}/open/bye`);
  assert.equal((await userinfo()).status, 401);
  const again = await browser.open(`${apache.url}/page`);
  assert.ok(again.root.querySelector('[name=provider]'), 'the issuer asks anew');
});
