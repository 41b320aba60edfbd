// oauth4webapi, unmodified: the same author's low-level library, which checks each answer by its specification.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { APP, secrets, signIn, start } from './lib/setup.mjs';

const insecure = { [oauth.allowInsecureRequests]: true };
let house;
let server;
before(async () => {
  house = await start();
  const issuer = new URL(house.issuer);
  server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...insecure }));
});
after(() => house?.stop());

test('the OAuth 2.0 metadata says the same as the OpenID one', async () => {
  const issuer = new URL(house.issuer);
  const metadata = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }));
  for (const key of ['issuer', 'authorization_endpoint', 'token_endpoint', 'jwks_uri']) assert.equal(metadata[key], server[key]);
  assert.deepEqual(server.response_types_supported, ['code']);
  assert.ok(!server.grant_types_supported.includes('implicit') && !server.grant_types_supported.includes('password'));
  assert.deepEqual(server.code_challenge_methods_supported, ['S256']);
  assert.equal(server.authorization_response_iss_parameter_supported, true);
});

for (const [name, authentication] of [['client_secret_basic', oauth.ClientSecretBasic], ['client_secret_post', oauth.ClientSecretPost]]) {
  test(`the code flow with ${name}; an API checks the access token offline (RFC 9068)`, async () => {
    const client = { client_id: 'app' };
    const secret = authentication(secrets.APP_SECRET);
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const nonce = oauth.generateRandomNonce();
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams({ client_id: 'app', redirect_uri: APP, response_type: 'code', scope: 'openid groups', state, nonce, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', max_age: '3600' });
    const callback = oauth.validateAuthResponse(server, client, await signIn(url), state);
    const answer = await oauth.authorizationCodeGrantRequest(server, client, secret, callback, APP, verifier, insecure);
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, { expectedNonce: nonce, maxAge: 3600, requireIdToken: true });
    await oauth.validateApplicationLevelSignature(server, answer, insecure);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    const info = await oauth.processUserInfoResponse(server, client, claims.sub, await oauth.userInfoRequest(server, client, tokens.access_token, insecure));
    assert.deepEqual(info.groups, ['analysts']);

    const keys = createRemoteJWKSet(new URL(server.jwks_uri));
    const { payload } = await jwtVerify(tokens.access_token, keys, { issuer: house.issuer, audience: 'urn:interop:api', typ: 'at+jwt' });
    assert.equal(payload.sub, claims.sub);
    assert.equal(payload.client_id, 'app');
    assert.deepEqual(payload.groups, ['analysts']);

    const request = new Request('http://api.test/', { headers: { authorization: `Bearer ${tokens.access_token}` } });
    await oauth.validateJwtAccessToken(server, request, 'urn:interop:api', insecure);

    const replay = await oauth.authorizationCodeGrantRequest(server, client, secret, callback, APP, verifier, insecure);
    await assert.rejects(oauth.processAuthorizationCodeResponse(server, client, replay), { error: 'invalid_grant' });
    const after = await oauth.userInfoRequest(server, client, tokens.access_token, insecure);
    assert.equal(after.status, 401, 'a code used twice revokes what it gave');
  });
}

test('a resource server introspects with its own secret', async () => {
  const client = { client_id: 'service' };
  const answer = await oauth.clientCredentialsGrantRequest(server, client, oauth.ClientSecretBasic(secrets.SERVICE_SECRET), { scope: 'permissions' }, insecure);
  const tokens = await oauth.processClientCredentialsResponse(server, client, answer);
  const api = { client_id: 'api' };
  const seen = await oauth.processIntrospectionResponse(server, api, await oauth.introspectionRequest(server, api, oauth.ClientSecretBasic(secrets.API_SECRET), tokens.access_token, insecure));
  assert.equal(seen.active, true);
  assert.equal(seen.client_id, 'service');
  assert.deepEqual(seen.permissions, ['reports:read']);
});
