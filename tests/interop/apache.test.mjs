// Apache with mod_auth_openidc, unmodified: what the module checks is its own; what it tells the application is what
// people get who put it before an old web application.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startApache } from './lib/apache.mjs';
import { Browser } from './lib/browser.mjs';
import { startHouse, throughChooser } from './lib/demo.mjs';
import { freePorts } from './lib/ports.mjs';

const SECRET = 'apache-secret-only-for-the-tests-0123456789';
// The second Apache has what this version of the module can do beyond the usual: answers by form_post, the secret in the
// form, signed userinfo, and logout tokens by the back channel. Debian's module dies of private_key_jwt before it sends
// anything, and does not know PAR yet. Its cookie has a name of its own, since ports share cookies.
const MODERN = `
OIDCClientID apache-modern
OIDCClientSecret ${SECRET}
OIDCProviderTokenEndpointAuth client_secret_post
OIDCResponseMode form_post
OIDCUserInfoSignedResponseAlg RS256
OIDCProviderBackChannelLogoutSupported On
OIDCCookie modern_session
`;

let house;
let apache;
let modern;
before(async () => {
  const urls = (await freePorts(2)).map((port) => `http://127.0.0.1:${port}`);
  const one = (id, url, more = '') => `
[[client]]
id = "${id}"
name = "Apache"
secret = "env:APACHE_SECRET"
redirect_uris = ["${url}/oidc/callback"]
post_logout_redirect_uris = ["${url}/open/bye"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "groups", "roles", "permissions"]
first_party = true
${more}
`;
  house = await startHouse({
    env: { APACHE_SECRET: SECRET },
    more: one('apache', urls[0])
      + one('apache-modern', urls[1], `auth_methods = ["client_secret_post"]\nuserinfo_alg = "RS256"\nbackchannel_logout_uri = "${urls[1]}/oidc/callback?logout=backchannel"`),
  });
  const start = (url, lines) => startApache({
    port: new URL(url).port,
    lines: `
OIDCProviderMetadataURL ${house.issuer}/.well-known/openid-configuration
OIDCDefaultLoggedOutURL ${url}/open/bye
${lines}`,
  });
  apache = await start(urls[0], `OIDCClientID apache\nOIDCClientSecret ${SECRET}\n`);
  modern = await start(urls[1], MODERN);
});
after(async () => {
  await apache?.stop();
  await modern?.stop();
  await house?.stop();
});

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

test('an answer by form_post, the secret in the form, and signed userinfo', async () => {
  const browser = new Browser();
  const page = await arriveByForm('/page?a=1', { browser });
  assert.equal(page.status, 200, await modern.log());
  assert.equal(page.url.href, `${modern.url}/page?a=1`);
  assert.equal(told(page)['claim-groups'], 'engineers');
  assert.equal(told(page)['claim-name'], 'Alice Ahlgren');
  const log = await modern.log();
  assert.match(log, /response_mode=form_post/);
  assert.match(log, /token_endpoint_auth=client_secret_post/);
});

/** As `arrive`, at the second Apache; the answer comes as a form, which the page posts. */
async function arriveByForm(path, { browser = new Browser(), ...how } = {}) {
  const chooser = await browser.open(`${modern.url}${path}`);
  assert.ok(chooser.root.querySelector('[name=provider]'), `${chooser.url}\n${chooser.text}\n${await modern.log()}`);
  const answer = await throughChooser(browser, chooser, how);
  const found = browser.formTo(answer, `${modern.url}/oidc/callback`);
  assert.ok(found, `no form: ${answer.url}\n${answer.text}`);
  return browser.open(found.url, { method: 'POST', body: found.form.toString() });
}

test('whoever signs out elsewhere is signed out of Apache by the back channel', async () => {
  const browser = new Browser();
  const token = told(await arriveByForm('/page', { browser }))['oidc_access_token'];
  assert.ok(token);
  assert.equal((await browser.open(`${modern.url}/page`)).status, 200, 'the session goes on');
  // The person signs out at the first Apache, in the same browser.
  assert.equal((await browser.open(`${apache.url}/page`)).status, 200);
  await browser.open(`${apache.url}/oidc/callback?logout=${encodeURIComponent(`${apache.url}/open/bye`)}`);
  for (let tries = 0; ; tries += 1) {
    const page = await browser.open(`${modern.url}/page`);
    if (page.root.querySelector('[name=provider]')) break;
    assert.ok(tries < 100, `Apache still lets the person in:\n${await modern.log()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});
