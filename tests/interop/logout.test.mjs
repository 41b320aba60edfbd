// Signing out, as apps see it: openid-client sends people to sign out; jose checks the logout tokens that come by the
// back channel (OIDC Back-Channel Logout §2.6).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as client from 'openid-client';
import { Browser } from './lib/browser.mjs';
import { codeFlow, discover } from './lib/client.mjs';
import { publish } from './lib/keys.mjs';
import { APP, APP_HOME, start } from './lib/setup.mjs';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const SECRETS = { FIRST_SECRET: 'first-secret-only-for-the-tests-0123456789', SECOND_SECRET: 'second-secret-only-for-the-tests-012345678' };
let house;
let place;
const configs = {};
before(async () => {
  place = await publish();
  const one = (id, more) => `
[[client]]
id = "${id}"
name = "${id}"
secret = "env:${id.toUpperCase()}_SECRET"
redirect_uris = ["${APP}"]
post_logout_redirect_uris = ["${APP_HOME}"]
backchannel_logout_uri = "${place.url}/${id}"
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "groups", "roles", "permissions"]
first_party = true
${more}
`;
  house = await start({ env: SECRETS, more: one('first', '') + one('second', 'id_token_alg = "ES256"\nbackchannel_logout_session_required = true') });
  configs.first = await discover(house, 'first', client.ClientSecretBasic(SECRETS.FIRST_SECRET));
  configs.second = await discover(house, 'second', client.ClientSecretBasic(SECRETS.SECOND_SECRET), { id_token_signed_response_alg: 'ES256' });
});
after(async () => { await house?.stop(); await place?.stop(); });

test('whoever signs out of one app is signed out of the others, and each is told by a logout token of its own', async () => {
  const metadata = configs.first.serverMetadata();
  assert.equal(metadata.backchannel_logout_supported, true);
  assert.equal(metadata.backchannel_logout_session_supported, true);
  const browser = new Browser();
  const first = await codeFlow(configs.first, { browser });
  const second = await codeFlow(configs.second, { browser });
  const elsewhere = await codeFlow(configs.second, { browser: new Browser() });

  const url = client.buildEndSessionUrl(configs.first, { id_token_hint: first.id_token, post_logout_redirect_uri: APP_HOME, state: 'back' });
  const end = await browser.open(url, { stopAt: APP_HOME });
  assert.equal(end.stopped && end.url.searchParams.get('state'), 'back');

  const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
  const told = await place.received(2);
  assert.deepEqual(told.map(({ path }) => path).sort(), ['/first', '/second']);
  const ids = new Set();
  for (const [name, tokens, alg] of [['first', first, 'RS256'], ['second', second, 'ES256']]) {
    const { form, headers } = told.find(({ path }) => path === `/${name}`);
    assert.match(headers['content-type'], /^application\/x-www-form-urlencoded/);
    const { payload, protectedHeader } = await jwtVerify(form.get('logout_token'), keys, {
      issuer: house.issuer, audience: name, typ: 'logout+jwt', algorithms: [alg], maxTokenAge: '2m',
    });
    assert.equal(protectedHeader.alg, alg);
    assert.deepEqual(payload.events, { [EVENT]: {} });
    assert.equal(payload.nonce, undefined);
    assert.equal(payload.sub, tokens.claims().sub);
    assert.equal(payload.sid, tokens.claims().sid);
    ids.add(payload.jti);
  }
  assert.equal(ids.size, 2);

  // What was granted in the session is gone; what was granted in another browser's is not.
  for (const [name, tokens] of [['first', first], ['second', second]]) {
    await assert.rejects(client.refreshTokenGrant(configs[name], tokens.refresh_token), { error: 'invalid_grant' });
    assert.deepEqual(await client.tokenIntrospection(configs[name], tokens.access_token), { active: false });
  }
  assert.ok((await client.refreshTokenGrant(configs.second, elsewhere.refresh_token)).access_token);
  assert.notEqual(elsewhere.claims().sid, second.claims().sid);
});

test('a hint of another client, an address that nobody registered, and a bent hint lead nowhere', async () => {
  const browser = new Browser();
  const tokens = await codeFlow(configs.first, { browser });
  const bent = `${tokens.id_token.slice(0, -6)}AAAAAA`;
  for (const parameters of [
    { id_token_hint: tokens.id_token, post_logout_redirect_uri: 'https://evil.example/' },
    { id_token_hint: tokens.id_token, client_id: 'second', post_logout_redirect_uri: APP_HOME },
    { id_token_hint: bent, post_logout_redirect_uri: APP_HOME },
  ]) {
    const url = new URL(configs.first.serverMetadata().end_session_endpoint);
    url.search = new URLSearchParams(parameters);
    const page = await browser.open(url, { stopAt: APP_HOME });
    assert.equal(page.stopped, undefined, JSON.stringify(parameters));
    assert.ok(page.url.href.startsWith(house.issuer));
  }
  const still = await codeFlow(configs.first, { browser, parameters: { prompt: 'none' } });
  assert.equal(still.claims().sid, tokens.claims().sid, 'the session goes on');
});
