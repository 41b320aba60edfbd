// Clients that prove themselves by keys (private_key_jwt): openid-client and oauth4webapi, unmodified.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { codeFlow, discover } from './lib/client.mjs';
import { newKey, publish } from './lib/keys.mjs';
import { APP, start } from './lib/setup.mjs';

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const insecure = { [oauth.allowInsecureRequests]: true };
let house;
let place;
let keys;
before(async () => {
  keys = Object.fromEntries(await Promise.all(ALGORITHMS.map(async (alg) => [alg, await newKey(alg)])));
  place = await publish({ '/jwks': ['application/json', JSON.stringify({ keys: [keys.ES256.jwk] })] });
  house = await start({
    env: { CLIENT_KEYS: JSON.stringify({ keys: ALGORITHMS.map((alg) => keys[alg].jwk) }) },
    more: `
[[client]]
id = "by-value"
name = "Keys by value"
jwks = "env:CLIENT_KEYS"
redirect_uris = ["${APP}"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scopes = ["openid", "profile", "email", "offline_access", "groups", "roles", "permissions"]
roles = ["reader"]
first_party = true

[[client]]
id = "by-address"
name = "Keys by address"
jwks_uri = "${place.url}/jwks"
redirect_uris = ["${APP}"]
grant_types = ["authorization_code"]
scopes = ["openid"]
first_party = true
strict_assertions = true
`,
  });
});
after(async () => { await house?.stop(); await place?.stop(); });

for (const alg of ALGORITHMS) {
  test(`openid-client with an ${alg} key: sign-in, refresh, introspection, revocation`, async () => {
    const { privateKey, kid } = keys[alg];
    const config = await discover(house, 'by-value', client.PrivateKeyJwt({ key: privateKey, kid }));
    assert.ok(config.serverMetadata().token_endpoint_auth_methods_supported.includes('private_key_jwt'));
    assert.ok(config.serverMetadata().token_endpoint_auth_signing_alg_values_supported.includes(alg));
    const tokens = await codeFlow(config);
    const next = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.equal((await client.tokenIntrospection(config, next.access_token)).active, true);
    await client.tokenRevocation(config, next.access_token);
    assert.deepEqual(await client.tokenIntrospection(config, next.access_token), { active: false });
    const own = await client.clientCredentialsGrant(config, { scope: 'permissions' });
    assert.equal(own.scope, 'permissions');
  });
}

test('keys by address: a new key is fetched when it is first used, and another client’s key is none', async () => {
  const { privateKey, kid } = keys.ES256;
  await codeFlow(await discover(house, 'by-address', client.PrivateKeyJwt({ key: privateKey, kid })), { scope: 'openid' });
  const stranger = await newKey('ES256', keys.ES256.kid);
  const config = await discover(house, 'by-address', client.PrivateKeyJwt({ key: stranger.privateKey, kid: stranger.kid }));
  await assert.rejects(codeFlow(config, { scope: 'openid' }), { status: 401 });
});

test('oauth4webapi: an assertion works once, and only as its specification wants it', async () => {
  const issuer = new URL(house.issuer);
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
  const me = { client_id: 'by-value' };
  const { privateKey: key, kid } = keys.RS256;
  const ask = async (authentication) => oauth.processClientCredentialsResponse(server, me,
    await oauth.clientCredentialsGrantRequest(server, me, authentication, { scope: 'permissions' }, insecure));

  let kept;
  const keeping = { [oauth.modifyAssertion]: (_header, payload) => { kept = { ...payload }; } };
  assert.ok((await ask(oauth.PrivateKeyJwt({ key, kid }, keeping))).access_token);
  const changed = (change) => oauth.PrivateKeyJwt({ key, kid }, { [oauth.modifyAssertion]: (_header, payload) => { Object.assign(payload, change); } });
  await assert.rejects(ask(changed({ jti: kept.jti })), { status: 401 }, 'a jti a second time');
  const now = Math.floor(Date.now() / 1000);
  const wrong = {
    'another audience': { aud: 'https://other.example' }, 'many audiences': { aud: [house.issuer, 'https://other.example'] },
    'another issuer': { iss: 'app' }, 'another subject': { sub: 'app' }, 'ended': { exp: now - 3600 },
    'far too long': { exp: now + 86_400 * 30 }, 'no end': { exp: undefined }, 'no jti': { jti: undefined },
  };
  // An assertion that does not even name this client is a malformed request.
  const refused = ({ status }) => status === 400 || status === 401;
  for (const [name, change] of Object.entries(wrong)) await assert.rejects(ask(changed(change)), refused, name);
  assert.ok((await ask(changed({ jti: 'a-new-one' }))).access_token, 'the valid twin');
});
