// Board's server by itself: what it refuses, with an issuer that is no more than its metadata and keys.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { start } from '../start.mjs';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
let issuer;
let keys;
let issuerServer;
let app;

const listening = (server) => new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server.address().port)); });

before(async () => {
  keys = await generateKeyPair('ES256');
  const jwk = { ...await exportJWK(keys.publicKey), kid: 'k', alg: 'ES256', use: 'sig' };
  issuerServer = http.createServer((request, response) => {
    const documents = {
      '/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/jwks`, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` },
      '/jwks': { keys: [jwk] },
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(documents[request.url] ?? {}));
  });
  issuer = `http://localhost:${await listening(issuerServer)}`;
  const probe = http.createServer();
  const port = await listening(probe);
  await new Promise((resolve) => probe.close(resolve));
  app = await start({ ISSUER: issuer, PORT: String(port), API_PORT: '0' });
});
after(async () => { await app?.stop(); issuerServer?.close(); issuerServer?.closeAllConnections(); });

const ask = (path, options) => fetch(app.url + path, { redirect: 'manual', ...options });

test('the page comes with a strict policy, and is the same for everybody', async () => {
  const response = await ask('/');
  assert.equal(response.status, 200);
  const policy = response.headers.get('content-security-policy');
  for (const rule of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]) {
    assert.ok(policy.includes(rule), rule);
  }
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.equal(response.headers.get('access-control-allow-origin'), null);
  assert.deepEqual(response.headers.getSetCookie(), []);
});

test('only requests of our own page are answered', async () => {
  const own = () => ({ 'x-board': '1', origin: new URL(app.url).origin, 'sec-fetch-site': 'same-origin' });
  const asked = async (headers, method = 'POST') => (await ask('/bff/sign-out', { method, headers })).status;
  assert.equal(await asked(own()), 200);
  const without = (name) => { const headers = own(); delete headers[name]; return headers; };
  assert.equal(await asked(without('sec-fetch-site')), 200, 'an older browser sends the origin alone');
  assert.equal(await asked(without('origin')), 200);
  assert.equal(await asked({ 'x-board': '1' }), 403, 'a POST must say where it comes from');
  assert.equal(await asked(without('x-board')), 403);
  assert.equal(await asked({ ...own(), 'x-board': '2' }), 403);
  for (const site of ['same-site', 'cross-site', 'none']) assert.equal(await asked({ ...own(), 'sec-fetch-site': site }), 403, site);
  for (const origin of ['null', 'http://localhost:1', 'https://evil.example']) assert.equal(await asked({ ...own(), origin }), 403, origin);
  assert.equal((await ask('/bff/who')).status, 403, 'a GET needs the header too');
  const preflight = await ask('/bff/api/pins', { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-board' } });
  assert.equal(preflight.status, 404);
  assert.equal(preflight.headers.get('access-control-allow-origin'), null);
});

test('nobody without a session reaches the API, and nothing but the listed paths is passed on', async () => {
  const headers = { 'x-board': '1', 'sec-fetch-site': 'same-origin' };
  assert.equal((await ask('/bff/api/pins', { headers })).status, 401);
  for (const path of ['/bff/api/', '/bff/api/pins/1', '/bff/api/../pins', '/bff/api/%2e%2e/pins', '/bff/api//pins', '/bff/api/users']) {
    assert.equal((await ask(path, { headers })).status, 404, path);
  }
  assert.equal((await ask('/bff/api/pins', { method: 'POST', headers, body: 'x'.repeat(20_000) })).status, 413);
});

test('the sign-in is bound to its browser, by a cookie that scripts cannot read', async () => {
  const away = await ask('/bff/sign-in');
  assert.equal(away.status, 303);
  const to = new URL(away.headers.get('location'));
  assert.equal(to.searchParams.get('code_challenge_method'), 'S256');
  assert.ok(to.searchParams.get('state') && to.searchParams.get('nonce'));
  const [line] = away.headers.getSetCookie();
  assert.match(line, /^__Host-board-sign-in=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/);
  // Another browser, with the very address at which this one would have come back.
  const callback = `/bff/callback?code=c&state=${to.searchParams.get('state')}&iss=${encodeURIComponent(issuer)}`;
  const other = await ask(callback);
  assert.equal(other.headers.get('location'), '/#again');
  assert.ok(other.headers.getSetCookie().every((cookie) => !cookie.startsWith('__Host-board-session')));
});

async function logoutToken(change = {}, header = {}) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: 'demo-board', iat: now, exp: now + 120, jti: crypto.randomUUID(), sid: 's', sub: 'u', events: { [EVENT]: {} }, ...change };
  for (const name of Object.keys(claims)) if (claims[name] === undefined) delete claims[name];
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'logout+jwt', ...header }).sign(keys.privateKey);
}
const deliver = async (token) => (await ask('/bff/backchannel-logout', { method: 'POST', body: new URLSearchParams({ logout_token: token }) })).status;

test('a logout token is taken once, and only if it is one of the issuer’s for us', async () => {
  const token = await logoutToken();
  assert.equal(await deliver(token), 200);
  assert.equal(await deliver(token), 400, 'a second time');
  assert.equal(await deliver(await logoutToken({ sid: undefined })), 200, 'sub alone');
  assert.equal(await deliver(await logoutToken({ sub: undefined })), 200, 'sid alone');
  const old = Math.floor(Date.now() / 1000) - 3600;
  const wrong = {
    'another issuer': { iss: 'http://localhost:1' }, 'another client': { aud: 'demo-app' }, 'ended': { exp: old + 60 },
    'old': { iat: old }, 'no jti': { jti: undefined }, 'no event': { events: {} }, 'no events': { events: undefined },
    'a nonce': { nonce: 'n' }, 'nobody': { sid: undefined, sub: undefined },
  };
  for (const [name, change] of Object.entries(wrong)) assert.equal(await deliver(await logoutToken(change)), 400, name);
  assert.equal(await deliver(await logoutToken({}, { typ: 'JWT' })), 400, 'an ID token’s type');
  assert.equal(await deliver(token.replace(/\.[^.]+$/, '.AAAA')), 400, 'another signature');
  assert.equal(await deliver(''), 400);
});

test('plain http is for loopback alone', async () => {
  for (const name of ['ISSUER', 'PUBLIC_URL']) {
    await assert.rejects(start({ [name]: 'http://board.example.com', PORT: '0' }), /https/);
  }
});
