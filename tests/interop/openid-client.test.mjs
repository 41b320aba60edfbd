// openid-client, unmodified, with everything that it validates switched on.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as client from 'openid-client';
import { Browser } from './lib/browser.mjs';
import { codeFlow, discover } from './lib/client.mjs';
import { APP_HOME, secrets, start } from './lib/setup.mjs';

let house;
let config;
before(async () => {
  house = await start();
  config = await discover(house);
});
after(() => house?.stop());

const flow = (how) => codeFlow(config, how);

test('the code flow gives tokens that the library accepts, with local groups', async () => {
  const tokens = await flow();
  const claims = tokens.claims();
  assert.equal(claims.iss, house.issuer);
  assert.equal(claims.aud, 'app');
  assert.equal(claims.auth_time, undefined, 'the provider was not asked for it, so it is not made up');
  assert.equal(claims.email, undefined, 'profile claims stay out of the ID token');
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(info.name, 'Ada Lovelace');
  assert.equal(info.email, 'ada@upstream.example');
  assert.equal(info.email_verified, true);
  assert.deepEqual(info.groups, ['analysts']);
  assert.deepEqual(info.roles, ['reader']);
  assert.deepEqual(info.permissions, ['reports:read']);
});

test('auth_time is there where the app wants to know, and it is the provider’s own', async () => {
  const tokens = await flow({ parameters: { max_age: '3600' }, checks: { maxAge: 3600 } });
  assert.ok(tokens.claims().auth_time <= tokens.claims().iat);
});

test('a refresh token rotates, and the old one ends the family', async () => {
  const first = await flow();
  const second = await client.refreshTokenGrant(config, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal(second.claims()?.sub ?? first.claims().sub, first.claims().sub);
  await assert.rejects(client.refreshTokenGrant(config, first.refresh_token), { error: 'invalid_grant' });
  await assert.rejects(client.refreshTokenGrant(config, second.refresh_token), { error: 'invalid_grant' });
});

test('the same person has the same subject, another person another', async () => {
  const [one, again, other] = [await flow(), await flow(), await flow({ login: 'grace' })];
  assert.equal(one.claims().sub, again.claims().sub);
  assert.notEqual(one.claims().sub, other.claims().sub);
  const info = await client.fetchUserInfo(config, other.access_token, other.claims().sub);
  assert.deepEqual(info.groups ?? [], []);
});

test('single sign-on: a second request in the same browser shows no page', async () => {
  const browser = new Browser();
  const wanting = { max_age: '3600' };
  const first = await flow({ browser, parameters: wanting });
  const second = await flow({ browser, parameters: { ...wanting, prompt: 'none' } });
  assert.equal(first.claims().sub, second.claims().sub);
  assert.ok(first.claims().auth_time);
  assert.equal(first.claims().auth_time, second.claims().auth_time);
});

test('prompt=none without a session answers login_required to the app', async () => {
  await assert.rejects(flow({ parameters: { prompt: 'none' } }), { error: 'login_required' });
});

test('introspection and revocation agree', async () => {
  const tokens = await flow();
  const live = await client.tokenIntrospection(config, tokens.access_token);
  assert.equal(live.active, true);
  assert.equal(live.sub, tokens.claims().sub);
  await client.tokenRevocation(config, tokens.access_token);
  assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
});

test('client credentials give a token for the API with the service\'s own permissions', async () => {
  const service = await discover(house, 'service', client.ClientSecretPost(secrets.SERVICE_SECRET));
  await assert.rejects(client.clientCredentialsGrant(service, { scope: 'roles permissions' }), { status: 401 }, 'it is registered for Basic');
  const basic = await discover(house, 'service', client.ClientSecretBasic(secrets.SERVICE_SECRET));
  const tokens = await client.clientCredentialsGrant(basic, { scope: 'roles permissions' });
  assert.equal(tokens.token_type, 'bearer');
  assert.equal(tokens.id_token, undefined);
});

test('a native app on a loopback port consents once and gets ES256 and EdDSA tokens', async () => {
  const redirectUri = 'http://127.0.0.1:51004/callback';
  const native = await discover(house, 'native', client.None(), { id_token_signed_response_alg: 'ES256' });
  const browser = new Browser();
  const tokens = await codeFlow(native, { redirectUri, scope: 'openid email', browser, consent: 'allow' });
  const head = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
  assert.equal(head(tokens.id_token).alg, 'ES256');
  assert.deepEqual([head(tokens.access_token).alg, head(tokens.access_token).typ], ['EdDSA', 'at+jwt']);
  const again = await codeFlow(native, { redirectUri, scope: 'openid email', browser });
  assert.equal(again.claims().sub, tokens.claims().sub);
});

test('a person who does not consent is sent back with access_denied', async () => {
  const redirectUri = 'http://127.0.0.1:51005/callback';
  const native = await discover(house, 'native', client.None(), { id_token_signed_response_alg: 'ES256' });
  await assert.rejects(codeFlow(native, { redirectUri, scope: 'openid', consent: 'deny', login: 'grace' }), { error: 'access_denied' });
});

test('logout ends the session and comes back to the app with its state', async () => {
  const browser = new Browser();
  const tokens = await flow({ browser });
  const url = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: APP_HOME, state: 'x-1' });
  const end = await browser.open(url, { stopAt: APP_HOME });
  assert.equal(end.stopped, true);
  assert.equal(end.url.searchParams.get('state'), 'x-1');
  await assert.rejects(flow({ browser, parameters: { prompt: 'none' } }), { error: 'login_required' });
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), { error: 'invalid_grant' });
});
