// Authorization requests in every form: pushed (PAR), signed (JAR) by value and by address, and answers by form_post.
// All by openid-client, which checks each answer.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as client from 'openid-client';
import { Browser } from './lib/browser.mjs';
import { codeFlow, discover } from './lib/client.mjs';
import { newKey, publish } from './lib/keys.mjs';
import { APP, secrets, signIn, start } from './lib/setup.mjs';

let house;
let place;
let key;
before(async () => {
  key = await newKey('ES256');
  place = await publish();
  const one = (id, proof, more = '') => `
[[client]]
id = "${id}"
name = "${id}"
${proof}
redirect_uris = ["${APP}"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "groups", "roles", "permissions"]
first_party = true
${more}
`;
  const keys = 'jwks = "env:CLIENT_KEYS"';
  house = await start({
    env: { CLIENT_KEYS: JSON.stringify({ keys: [key.jwk] }) },
    more: one('pushing', 'secret = "env:APP_SECRET"', 'require_pushed_authorization_requests = true')
      + one('signing', keys, `require_signed_request_object = true\nrequest_uris = ["${place.url}/request.jwt"]`)
      + one('both', keys, 'require_pushed_authorization_requests = true\nrequire_signed_request_object = true')
      + one('public-pushing', 'public = true'),
  });
});
after(async () => { await house?.stop(); await place?.stop(); });

const byKey = (id) => discover(house, id, client.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }));
const bySecret = (id) => discover(house, id, client.ClientSecretBasic(secrets.APP_SECRET));
const signed = (config, parameters) => client.buildAuthorizationUrlWithJAR(config, parameters, { key: key.privateKey, kid: key.kid });
const pushed = client.buildAuthorizationUrlWithPAR;

/** The code that comes of an address, if one does. */
const codeFor = (address) => signIn(address).then((url) => url.searchParams.get('code') ?? undefined, () => undefined);

test('a pushed request: nothing but the client and its request_uri is in the address', async () => {
  const config = await bySecret('pushing');
  assert.ok(config.serverMetadata().pushed_authorization_request_endpoint);
  let address;
  const tokens = await codeFlow(config, { begin: async (...all) => { address = await pushed(...all); return address; } });
  assert.deepEqual([...address.searchParams.keys()].sort(), ['client_id', 'request_uri']);
  assert.match(address.searchParams.get('request_uri'), /^urn:ietf:params:oauth:request_uri:/);
  assert.equal(tokens.claims().aud, 'pushing');

  // The same address a second time: its request was used up by the code.
  assert.equal(await codeFor(address), undefined);
  // A client that must push gets nothing for plain parameters.
  await assert.rejects(codeFlow(config), { error: 'invalid_request' });
});

test('pushing proves the client and checks the request at once', async () => {
  const wrongSecret = await discover(house, 'pushing', client.ClientSecretBasic(`${secrets.APP_SECRET}x`));
  await assert.rejects(pushed(wrongSecret, { redirect_uri: APP, scope: 'openid' }), { status: 401 });
  const config = await bySecret('pushing');
  const challenge = { code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' };
  assert.ok(await pushed(config, { redirect_uri: APP, scope: 'openid', ...challenge }), 'the valid twin');
  await assert.rejects(pushed(config, { redirect_uri: 'https://evil.example/', scope: 'openid', ...challenge }), { error: 'invalid_request' });
  await assert.rejects(pushed(config, { redirect_uri: APP, scope: 'openid', ...challenge, code_challenge_method: 'plain' }), { error: 'invalid_request' });
  await assert.rejects(pushed(config, { redirect_uri: APP, scope: 'openid', ...challenge, request_uri: 'urn:x' }), { error: 'invalid_request' });
});

test('a public client pushes too, and another client cannot use its request', async () => {
  const config = await discover(house, 'public-pushing', client.None());
  let address;
  await codeFlow(config, { begin: async (...all) => { address = await pushed(...all); return address; }, consent: 'allow' });
  const other = await pushed(config, { redirect_uri: APP, scope: 'openid', state: 's', code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' });
  other.searchParams.set('client_id', 'app');
  assert.equal(await codeFor(other), undefined);
});

test('a signed request by value, and only by the client’s own key', async () => {
  const config = await byKey('signing');
  assert.equal(config.serverMetadata().request_parameter_supported, true);
  const tokens = await codeFlow(config, { begin: signed });
  assert.equal(tokens.claims().aud, 'signing');
  await assert.rejects(codeFlow(config), { error: /invalid_request/ }, 'unsigned');
  const stranger = await newKey('ES256', key.kid);
  const forged = (conf, parameters) => client.buildAuthorizationUrlWithJAR(conf, parameters, { key: stranger.privateKey, kid: stranger.kid });
  await assert.rejects(codeFlow(config, { begin: forged }));
});

test('what stands beside a signed request does not count', async () => {
  const config = await byKey('signing');
  const begin = async (...all) => {
    const url = await signed(...all);
    url.searchParams.set('scope', 'openid email groups roles');
    url.searchParams.set('redirect_uri', 'https://evil.example/');
    return url;
  };
  const tokens = await codeFlow(config, { begin, scope: 'openid' });
  assert.equal(tokens.scope, 'openid');
});

test('a signed request by a registered address, and by no other', async () => {
  const config = await byKey('signing');
  assert.equal(config.serverMetadata().request_uri_parameter_supported, true);
  const by = (path) => async (...all) => {
    const url = await signed(...all);
    place.documents[path] = ['application/oauth-authz-req+jwt', url.searchParams.get('request')];
    url.searchParams.delete('request');
    url.searchParams.set('request_uri', place.url + path);
    return url;
  };
  const tokens = await codeFlow(config, { begin: by('/request.jwt') });
  assert.equal(tokens.claims().aud, 'signing');
  await assert.rejects(codeFlow(config, { begin: by('/other.jwt') }));
});

test('signed and pushed at once', async () => {
  const config = await byKey('both');
  const begin = async (conf, parameters) => pushed(conf, { request: (await signed(conf, parameters)).searchParams.get('request') });
  assert.equal((await codeFlow(config, { begin })).claims().aud, 'both');
  await assert.rejects(codeFlow(config, { begin: pushed }), { error: /invalid_request/ }, 'pushed, but not signed');
});

/** What the page of a form_post answer posts to the app, as the request that the app gets. */
async function posted(url, how = {}) {
  const { url: at, form } = await signIn(url, { byForm: true, ...how });
  return new Request(at, { method: 'POST', body: form });
}

test('an answer by form_post, and an error by form_post', async () => {
  const config = await bySecret('app');
  assert.ok(config.serverMetadata().response_modes_supported.includes('form_post'));
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const parameters = {
    redirect_uri: APP, scope: 'openid', state, nonce, response_mode: 'form_post',
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  };
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const browser = new Browser();
  const answer = await posted(client.buildAuthorizationUrl(config, parameters), { browser });
  assert.equal(new URL(answer.url).search, '', 'nothing is in the address');
  const tokens = await client.authorizationCodeGrant(config, answer, checks);
  assert.equal(tokens.claims().aud, 'app');

  const silent = client.buildAuthorizationUrl(config, { ...parameters, prompt: 'none' });
  const refused = await posted(silent, { browser: new Browser() });
  await assert.rejects(client.authorizationCodeGrant(config, refused, checks), { error: 'login_required' });
});

test('max_age and prompt=login ask the person anew, and the library sees it in auth_time', async () => {
  const config = await bySecret('app');
  const browser = new Browser();
  const first = await codeFlow(config, { browser, parameters: { max_age: '3600' }, checks: { maxAge: 3600 } });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const anew = await codeFlow(config, { browser, parameters: { prompt: 'login' }, checks: { maxAge: 60 } });
  assert.ok(anew.claims().auth_time > first.claims().auth_time);
  const enough = await codeFlow(config, { browser, parameters: { max_age: '3600', prompt: 'none' }, checks: { maxAge: 3600 } });
  assert.equal(enough.claims().auth_time, anew.claims().auth_time);
});
