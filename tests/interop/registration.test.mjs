// Clients that register by program (RFC 7591, RFC 7592): openid-client and oauth4webapi, unmodified.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { codeFlow } from './lib/client.mjs';
import { newKey } from './lib/keys.mjs';
import { APP, secrets, start } from './lib/setup.mjs';

const insecure = { [oauth.allowInsecureRequests]: true };
const METADATA = { client_name: 'Registered', redirect_uris: [APP], grant_types: ['authorization_code', 'refresh_token'], scope: 'openid profile email offline_access' };
let house;
let issuer;
before(async () => {
  house = await start({ more: '[registration]\nmode = "token"\nredirect_hosts = ["127.0.0.1"]' });
  issuer = new URL(house.issuer);
});
after(() => house?.stop());

/** A new initial access token, as an operator makes it. */
function initialAccessToken() {
  const parameters = ['registration-token', 'add', '--note', 'interop', '--uses', '2', '--config', join(house.broker.folder, 'countersign.toml')];
  const said = execFileSync(process.env.COUNTERSIGN_BIN, parameters, { env: { ...process.env, ...secrets }, encoding: 'utf8' });
  return /csit_[\w-]+/.exec(said)[0];
}

const register = (metadata, authentication) => client.dynamicClientRegistration(issuer, { ...METADATA, ...metadata }, authentication, {
  initialAccessToken: initialAccessToken(), execute: [client.allowInsecureRequests],
});

const variations = {
  'client_secret_basic': [{ token_endpoint_auth_method: 'client_secret_basic' }, () => client.ClientSecretBasic()],
  'client_secret_post': [{ token_endpoint_auth_method: 'client_secret_post' }, () => client.ClientSecretPost()],
  'no secret': [{ token_endpoint_auth_method: 'none' }, () => client.None()],
};
for (const [name, [metadata, authentication]] of Object.entries(variations)) {
  test(`openid-client registers itself with ${name}, signs a person in and refreshes`, async () => {
    const config = await register(metadata, authentication());
    client.enableNonRepudiationChecks(config);
    const tokens = await codeFlow(config, { scope: METADATA.scope, consent: 'allow', parameters: { prompt: 'consent' } });
    assert.equal(tokens.claims().aud, config.clientMetadata().client_id);
    const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.equal(info.email, 'ada@upstream.example');
    assert.ok((await client.refreshTokenGrant(config, tokens.refresh_token)).access_token);
  });
}

test('openid-client registers with keys, other algorithms, signed userinfo and a pairwise subject', async () => {
  const key = await newKey('ES256');
  const config = await register({
    token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.jwk] },
    id_token_signed_response_alg: 'ES256', userinfo_signed_response_alg: 'ES256', subject_type: 'pairwise',
  }, client.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }));
  client.enableNonRepudiationChecks(config);
  assert.equal(config.clientMetadata().client_secret, undefined);
  const tokens = await codeFlow(config, { scope: 'openid profile', consent: 'allow' });
  const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
  assert.equal(info.name, 'Ada Lovelace');
});

test('oauth4webapi registers, and what was registered is read, replaced and removed', async () => {
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
  const token = initialAccessToken();
  const made = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(server, METADATA, { initialAccessToken: token, ...insecure }),
  );
  assert.ok(made.client_secret.length >= 32);
  assert.equal(made.client_secret_expires_at, 0);
  assert.deepEqual(made.redirect_uris, [APP]);

  const manage = (method, body, bearer = made.registration_access_token) => fetch(made.registration_client_uri, {
    method, headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
  });
  const read = await (await manage('GET')).json();
  assert.equal(read.client_id, made.client_id);
  assert.equal(read.client_name, 'Registered');
  assert.equal((await manage('GET', undefined, token)).status, 401, 'the initial access token manages nothing');
  const replaced = await (await manage('PUT', { ...METADATA, client_id: made.client_id, client_name: 'Renamed' })).json();
  assert.equal(replaced.client_name, 'Renamed');
  const stranger = await manage('PUT', { ...METADATA, client_id: made.client_id, redirect_uris: ['https://evil.example/'] });
  assert.equal(stranger.status, 400);
  assert.equal((await stranger.json()).error, 'invalid_redirect_uri');
  assert.equal((await manage('DELETE')).status, 204);
  assert.equal((await manage('GET')).status, 401);
});

test('without a token, with a used up one, and beyond the policy nothing is registered', async () => {
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
  const ask = (metadata, initialAccessToken) => oauth.dynamicClientRegistrationRequest(server, { ...METADATA, ...metadata }, { initialAccessToken, ...insecure });
  assert.equal((await ask({})).status, 401);
  assert.equal((await ask({}, 'csit_unknown')).status, 401);
  const token = initialAccessToken();
  const wrong = [
    [{ redirect_uris: ['https://evil.example/callback'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['javascript:alert(1)'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: [] }, 'invalid_client_metadata'],
    [{ response_types: ['token'] }, 'invalid_client_metadata'],
    [{ grant_types: ['password'] }, 'invalid_client_metadata'],
    [{ token_endpoint_auth_method: 'client_secret_jwt' }, 'invalid_client_metadata'],
    [{ id_token_signed_response_alg: 'none' }, 'invalid_client_metadata'],
  ];
  for (const [metadata, error] of wrong) {
    const answer = await ask(metadata, token);
    assert.equal(answer.status, 400, JSON.stringify(metadata));
    assert.equal((await answer.json()).error, error, JSON.stringify(metadata));
  }
  for (const status of [201, 201, 401]) assert.equal((await ask({}, token)).status, status, 'what was refused used nothing up');
});
