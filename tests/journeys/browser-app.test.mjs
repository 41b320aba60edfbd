// An app without a server, on another origin than the broker's: it speaks to the broker from the browser, so
// CORS must let it, and pages must not.

import assert from 'node:assert/strict';
import http from 'node:http';
import { browserFor, chooseProvider, demoFor, journey, noFaults, personAt, pickPerson, screenshot } from './support.mjs';

const PAGE = '<!doctype html><title>App</title><p>An app without a server.</p>';

async function appServer(context) {
  const server = http.createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(PAGE);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}`;
}

/** The app's own code, run in the browser: makes a PKCE pair and the authorization address. */
async function beginInBrowser({ issuer, redirectUri }) {
  const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  const base64url = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const challenge = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  const url = new URL(metadata.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: 'demo-spa', redirect_uri: redirectUri, response_type: 'code', scope: 'openid profile groups',
    state: 'st', nonce: 'no', code_challenge: base64url(challenge), code_challenge_method: 'S256',
  });
  return { metadata, verifier, url: url.href };
}

/** Swaps the code, asks userinfo and keys, and revokes: each by fetch, without credentials. */
async function finishInBrowser({ metadata, code, verifier, redirectUri }) {
  const post = (address, body) => fetch(address, { method: 'POST', body: new URLSearchParams(body) });
  const answer = await post(metadata.token_endpoint, {
    grant_type: 'authorization_code', client_id: 'demo-spa', redirect_uri: redirectUri, code, code_verifier: verifier,
  });
  const tokens = await answer.json();
  const authorization = `Bearer ${tokens.access_token}`;
  const userinfo = () => fetch(metadata.userinfo_endpoint, { headers: { authorization } });
  const info = await (await userinfo()).json();
  const keys = await (await fetch(metadata.jwks_uri)).json();
  const revoked = await post(metadata.revocation_endpoint, { client_id: 'demo-spa', token: tokens.access_token });
  const after = await userinfo();
  return { tokens, info, keys, revoked: revoked.status, after: after.status };
}

const readable = (address) =>
  fetch(address, { redirect: 'manual' }).then((response) => response.type !== 'opaqueredirect', () => false);

journey('an app in the browser signs in, and a stranger’s origin reads nothing of it', async (context) => {
  const demo = await demoFor(context);
  const browser = await browserFor(context);
  const page = await personAt(browser);
  const app = await appServer(context);
  const redirectUri = `${app}/callback`;
  const issuer = demo.addresses.broker;

  await page.goto(app);
  const { metadata, verifier, url } = await page.evaluate(beginInBrowser, { issuer, redirectUri });
  await page.goto(url);
  await chooseProvider(page, 'globex');
  await pickPerson(page, 'alice');
  await page.waitForURL(`${issuer}/consent**`);
  await screenshot(page, 'consent');
  await page.locator('button[name="decision"][value="allow"]').click();
  await page.waitForURL(`${app}/callback**`);
  const callback = new URL(page.url());
  assert.equal(callback.searchParams.get('iss'), issuer);
  assert.equal(callback.searchParams.get('state'), 'st');

  const code = callback.searchParams.get('code');
  const seen = await page.evaluate(finishInBrowser, { metadata, code, verifier, redirectUri });
  assert.equal(seen.info.name, 'Alice Ahlgren');
  assert.deepEqual(seen.info.groups, ['engineers']);
  assert.ok(seen.keys.keys.length > 0);
  assert.equal(seen.revoked, 200);
  assert.equal(seen.after, 401, 'a revoked token is refused at once');
  noFaults(page);

  // Consent is remembered: the second time there is no question at all.
  const again = await page.evaluate(beginInBrowser, { issuer, redirectUri });
  await page.goto(again.url);
  await page.waitForURL(`${app}/callback**`);

  // Pages are nobody's to read, not even a registered origin's.
  for (const path of ['/', '/authorize', '/sign-in', '/consent', '/continue', '/signed-out', '/logout']) {
    assert.equal(await page.evaluate(readable, `${issuer}${path}`), false, path);
  }
  // An origin that no client registered cannot read userinfo.
  const stranger = await personAt(browser);
  await stranger.goto(app.replace('127.0.0.1', 'localhost'));
  assert.equal(await stranger.evaluate(readable, metadata.userinfo_endpoint), false);
});
