// Globex, judged by openid-client with full validation, and by what it must refuse.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as oidc from 'openid-client';
import { globex } from '../globex/server.mjs';
import { start } from '../lib/web.mjs';

const BROKER = 'http://broker.test';
const REDIRECT_URI = `${BROKER}/upstream/globex/callback`;

let server;
let configuration;
let clock = Date.now();

before(async () => {
  server = await start(globex, { brokerUrl: BROKER, now: () => clock });
  configuration = await oidc.discovery(
    new URL(server.url),
    'countersign',
    undefined,
    oidc.ClientSecretBasic('globex-demo-secret'),
    { execute: [oidc.allowInsecureRequests] },
  );
});
after(() => server.close());

/** A browser without scripts: keeps cookies, follows nothing by itself. */
function browser() {
  const jar = new Map();
  const send = async (url, init = {}) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      jar.set(name, value);
    }
    return response;
  };
  return { get: send, post: (url, form) => send(url, { method: 'POST', body: new URLSearchParams(form) }) };
}

async function begin(extra = {}) {
  const checks = {
    verifier: oidc.randomPKCECodeVerifier(), state: oidc.randomState(), nonce: oidc.randomNonce(),
  };
  const url = oidc.buildAuthorizationUrl(configuration, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid profile email groups',
    state: checks.state,
    nonce: checks.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(checks.verifier),
    code_challenge_method: 'S256',
    ...extra,
  });
  return { url, checks };
}

/** Opens the picker and presses one button; answers with the address that the browser is sent to. */
async function pick(client, url, button) {
  const markup = await (await client.get(url)).text();
  const request = /name="request" value="([^"]+)"/.exec(markup)?.[1];
  assert.ok(request, 'the picker is shown');
  const response = await client.post(`${server.url}/choose`, { request, ...button });
  return new URL(response.headers.get('location'));
}

const redeem = (callback, { verifier, state, nonce }, more = {}) =>
  oidc.authorizationCodeGrant(configuration, callback, {
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true, ...more,
  });

async function signIn(client, user, extra) {
  const { url, checks } = await begin(extra);
  return redeem(await pick(client, url, { user }), checks);
}

test('everyone signs in, and the claims are as documented', async () => {
  const expected = {
    alice: ['gx-1001', ['engineering']],
    bob: ['gx-1002', ['engineering']],
    carol: ['gx-1003', ['sales']],
    mallory: ['gx-1004', []],
  };
  for (const [user, [sub, groups]] of Object.entries(expected)) {
    const tokens = await signIn(browser(), user);
    const claims = tokens.claims();
    assert.equal(claims.sub, sub);
    assert.deepEqual(claims.groups, groups);
    assert.equal(claims.email, `${user}@globex.example`);
    assert.equal(claims.email_verified, true);
    assert.equal(typeof claims.auth_time, 'number');
    assert.equal(typeof claims.at_hash, 'string');
    const info = await oidc.fetchUserInfo(configuration, tokens.access_token, sub);
    assert.equal(info.name, claims.name);
    assert.deepEqual(info.groups, groups);
  }
});

test('everyone has a whole profile, an address and a number, for those who may ask', async () => {
  for (const [index, user] of ['alice', 'bob', 'carol', 'mallory'].entries()) {
    const tokens = await signIn(browser(), user, { scope: 'openid profile address phone' });
    const claims = tokens.claims();
    for (const name of ['middle_name', 'nickname', 'profile', 'picture', 'website', 'gender', 'birthdate', 'locale']) {
      assert.equal(typeof claims[name], 'string', name);
    }
    assert.match(claims.phone_number, new RegExp(`^\\+[0-9 ]+100${index + 1}$`));
    assert.equal(claims.address.formatted.split('\n')[0], claims.address.street_address);
    assert.ok(claims.address.locality && claims.address.region && claims.address.postal_code);
    assert.equal(claims.acr, 'urn:globex:picked');
    const plain = (await signIn(browser(), user, { scope: 'openid email' })).claims();
    for (const name of ['address', 'phone_number', 'phone_number_verified', 'birthdate']) {
      assert.equal(plain[name], undefined, name);
    }
  }
});

test('the picker has one submit button a person', async () => {
  const { url } = await begin();
  const markup = await (await fetch(url)).text();
  const people = [...markup.matchAll(/<button[^>]* name="user" value="([^"]+)"/g)].map((match) => match[1]);
  assert.deepEqual(people, ['alice', 'bob', 'carol', 'mallory']);
});

test('cancel is access_denied, with state and iss', async () => {
  const { url, checks } = await begin();
  const callback = await pick(browser(), url, { action: 'cancel' });
  assert.equal(callback.searchParams.get('error'), 'access_denied');
  assert.equal(callback.searchParams.get('state'), checks.state);
  assert.equal(callback.searchParams.get('iss'), server.url);
});

test('a second sign-in is silent, unless prompt, max_age or another hint ask for more', async () => {
  const client = browser();
  const first = await signIn(client, 'bob');
  const again = await begin();
  const silent = await client.get(again.url);
  assert.equal(silent.status, 303);
  const tokens = await redeem(new URL(silent.headers.get('location')), again.checks);
  assert.equal(tokens.claims().sub, 'gx-1002');
  assert.equal(tokens.claims().auth_time, first.claims().auth_time);

  const shown = async (extra) => (await client.get((await begin(extra)).url)).status === 200;
  assert.equal(await shown({ login_hint: 'bob' }), false);
  assert.equal(await shown({ login_hint: 'alice@globex.example' }), true);
  assert.equal(await shown({ prompt: 'login' }), true);
  assert.equal(await shown({ prompt: 'select_account' }), true);
  assert.equal(await shown({ max_age: '60' }), false);
  clock += 61_000;
  assert.equal(await shown({ max_age: '60' }), true);
  assert.equal(await shown({ prompt: 'none' }), false);
  clock -= 61_000;
});

test('prompt=none without a session is login_required', async () => {
  const { url } = await begin({ prompt: 'none' });
  const location = new URL((await browser().get(url)).headers.get('location'));
  assert.equal(location.searchParams.get('error'), 'login_required');
});

test('an unknown client or redirect URI is never redirected', async () => {
  for (const extra of [{ client_id: 'stranger' }, { redirect_uri: `${REDIRECT_URI}/x` }]) {
    const { url } = await begin();
    for (const [name, value] of Object.entries(extra)) url.searchParams.set(name, value);
    const response = await browser().get(url);
    assert.equal(response.status, 400);
    assert.equal(response.headers.get('location'), null);
  }
});

test('malformed requests are refused by redirect', async () => {
  const cases = [
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ scope: 'profile' }, 'invalid_scope'],
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ code_challenge: 'short' }, 'invalid_request'],
    [{ prompt: 'none login' }, 'invalid_request'],
    [{ max_age: '-1' }, 'invalid_request'],
    [{ request: 'x.y.z' }, 'request_not_supported'],
  ];
  for (const [extra, error] of cases) {
    const { url } = await begin(extra);
    const location = new URL((await browser().get(url)).headers.get('location'));
    assert.equal(location.searchParams.get('error'), error, JSON.stringify(extra));
  }
  const { url } = await begin();
  url.searchParams.append('nonce', 'another');
  const location = new URL((await browser().get(url)).headers.get('location'));
  assert.equal(location.searchParams.get('error'), 'invalid_request');
});

test('a code works once, and its second use revokes the access token', async () => {
  const { url, checks } = await begin();
  const callback = await pick(browser(), url, { user: 'alice' });
  const tokens = await redeem(callback, checks);
  await assert.rejects(redeem(callback, checks), { error: 'invalid_grant' });
  const info = await fetch(`${server.url}/userinfo`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  assert.equal(info.status, 401);
});

test('the token endpoint refuses a wrong verifier, redirect URI, client secret or late code', async () => {
  const fresh = async () => {
    const { url, checks } = await begin();
    return { callback: await pick(browser(), url, { user: 'alice' }), checks };
  };
  let { callback, checks } = await fresh();
  await assert.rejects(
    redeem(callback, { ...checks, verifier: oidc.randomPKCECodeVerifier() }), { error: 'invalid_grant' },
  );
  ({ callback, checks } = await fresh());
  callback.pathname += '/other';
  await assert.rejects(redeem(callback, checks), { error: 'invalid_grant' });
  ({ callback, checks } = await fresh());
  clock += 61_000;
  await assert.rejects(redeem(callback, checks), { error: 'invalid_grant' });
  clock -= 61_000;
  for (const authorization of [undefined, `Basic ${btoa('countersign:wrong')}`, 'Basic !', 'Bearer x']) {
    const response = await fetch(`${server.url}/token`, {
      method: 'POST',
      headers: authorization ? { authorization } : {},
      body: new URLSearchParams({ grant_type: 'authorization_code', code: 'x' }),
    });
    assert.equal(response.status, 401);
    assert.equal((await response.json()).error, 'invalid_client');
  }
});

test('signing out ends the session and goes back only to a registered address', async () => {
  const client = browser();
  const tokens = await signIn(client, 'carol');
  const to = (address) =>
    oidc.buildEndSessionUrl(configuration, {
      id_token_hint: tokens.id_token, post_logout_redirect_uri: address, state: 's',
    });
  const elsewhere = await client.get(to('http://elsewhere.test/'));
  assert.equal(elsewhere.status, 200);
  assert.equal((await client.get((await begin()).url)).status, 200, 'the picker is shown again');
  const registered = await client.get(to(`${BROKER}/upstream/globex/logout`));
  assert.equal(registered.headers.get('location'), `${BROKER}/upstream/globex/logout?state=s`);
});

test('a sign-out without a hint is asked about first', async () => {
  const client = browser();
  await signIn(client, 'carol');
  const asked = await client.get(`${server.url}/logout`);
  assert.match(await asked.text(), /Sign out of Globex\?/);
  assert.equal((await client.get((await begin()).url)).status, 303, 'still signed in');
});
