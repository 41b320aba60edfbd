// Friendbook: the shapes that Facebook's login and Graph API have, and what they refuse.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { friendbook } from '../friendbook/server.mjs';
import { start } from '../lib/web.mjs';

const BROKER = 'http://broker.test';
const REDIRECT_URI = `${BROKER}/upstream/friendbook/callback`;
const APP = { client_id: 'countersign', client_secret: 'friendbook-demo-secret', redirect_uri: REDIRECT_URI };
const VERIFIER = 'a-verifier-of-more-than-forty-three-characters';
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

let server;
before(async () => {
  server = await start(friendbook, { brokerUrl: BROKER });
});
after(() => server.close());

const dialog = (extra = {}) => {
  const query = { client_id: 'countersign', redirect_uri: REDIRECT_URI, state: 'st', scope: 'email', ...extra };
  return fetch(`${server.url}/dialog/oauth?${new URLSearchParams(query)}`, { redirect: 'manual' });
};

async function press(button, extra) {
  const markup = await (await dialog(extra)).text();
  const request = /name="request" value="([^"]+)"/.exec(markup)?.[1];
  assert.ok(request, 'the picker is shown');
  const body = new URLSearchParams({ request, ...button });
  const response = await fetch(`${server.url}/choose`, { method: 'POST', body, redirect: 'manual' });
  return new URL(response.headers.get('location'));
}

const redeem = (code, extra = {}) =>
  fetch(`${server.url}/oauth/access_token`, {
    method: 'POST', body: new URLSearchParams({ ...APP, code, ...extra }),
  });

async function tokenOf(user, extra) {
  const code = (await press({ user }, extra)).searchParams.get('code');
  return (await (await redeem(code)).json()).access_token;
}

const graph = (token, query = {}) =>
  fetch(`${server.url}/me?${new URLSearchParams(query)}`, { headers: { authorization: `Bearer ${token}` } });

const ALL = { fields: 'id,name,email,first_name,last_name' };

test('the code comes back with state and the odd fragment', async () => {
  const callback = await press({ user: 'alice' });
  assert.equal(callback.hash, '#_=_');
  assert.equal(callback.searchParams.get('state'), 'st');
  const response = await redeem(callback.searchParams.get('code'));
  const body = await response.json();
  assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'token_type']);
  assert.equal(body.token_type, 'bearer');
});

test('people: ids are strings of digits, addresses as claimed, and none is called verified', async () => {
  const emails = {
    alice: 'alice@globex.example',
    bob: undefined,
    carol: 'carol@friendbook.example',
    mallory: 'alice@globex.example',
  };
  for (const [user, email] of Object.entries(emails)) {
    const me = await (await graph(await tokenOf(user), ALL)).json();
    assert.match(me.id, /^\d{15}$/);
    assert.equal(me.email, email);
    assert.equal('email' in me, email !== undefined);
    assert.equal('email_verified' in me, false);
    assert.equal(me.name, `${me.first_name} ${me.last_name}`);
  }
});

test('without the permission there is no address; without fields there are id and name', async () => {
  const token = await tokenOf('alice', { scope: 'public_profile' });
  assert.equal('email' in (await (await graph(token, ALL)).json()), false);
  assert.deepEqual(Object.keys(await (await graph(token)).json()).sort(), ['id', 'name']);
});

test('cancel is access_denied in Facebook’s words', async () => {
  const { searchParams } = await press({ action: 'cancel' });
  assert.equal(searchParams.get('error'), 'access_denied');
  assert.equal(searchParams.get('error_reason'), 'user_denied');
  assert.equal(searchParams.get('state'), 'st');
});

test('an unknown app or redirect URI is never redirected', async () => {
  for (const extra of [{ client_id: 'x' }, { redirect_uri: 'http://elsewhere.test/' }, { scope: 'photos' }]) {
    const response = await dialog(extra);
    assert.equal(response.status, 400);
    assert.equal(response.headers.get('location'), null);
  }
});

test('codes are single-use and bound to redirect URI, secret and PKCE', async () => {
  const code = async (extra) => (await press({ user: 'alice' }, extra)).searchParams.get('code');
  const refused = async (response) => {
    assert.equal(response.status, 400);
    const { error } = await response.json();
    assert.equal(error.type, 'OAuthException');
    assert.equal(typeof error.code, 'number');
    assert.equal(typeof error.fbtrace_id, 'string');
  };
  const used = await code();
  assert.equal((await redeem(used)).status, 200);
  await refused(await redeem(used));
  await refused(await redeem(await code(), { redirect_uri: `${REDIRECT_URI}/x` }));
  await refused(await redeem(await code(), { client_secret: 'wrong' }));
  const pkce = { code_challenge: CHALLENGE, code_challenge_method: 'S256' };
  assert.equal((await redeem(await code(pkce), { code_verifier: VERIFIER })).status, 200);
  await refused(await redeem(await code(pkce)));
  await refused(await redeem(await code(pkce), { code_verifier: `${VERIFIER}x` }));
});

test('the Graph API errs in its own form', async () => {
  const token = await tokenOf('alice');
  const errorOf = async (response) => (await response.json()).error;
  assert.equal((await errorOf(await graph('nonsense'))).code, 190);
  assert.equal((await errorOf(await graph(token, { fields: 'id,shoe_size' }))).code, 100);
  const bare = await fetch(`${server.url}/me`);
  assert.equal((await errorOf(bare)).code, 2500);
  const proof = createHmac('sha256', APP.client_secret).update(token).digest('hex');
  assert.equal((await graph(token, { appsecret_proof: proof })).status, 200);
  assert.equal((await graph(token, { appsecret_proof: proof.replace(/./, 'x') })).status, 400);
});
