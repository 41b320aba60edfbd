// oidc-provider, unmodified, as the upstream, in the variations that its configuration has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as client from 'openid-client';
import { APP, secrets, signIn, start } from './lib/setup.mjs';

const variations = {
  'client_secret_basic, RS256': {},
  'client_secret_post': { provider: { client: { token_endpoint_auth_method: 'client_secret_post' } }, providerToml: 'userinfo = "always"\nclient_auth = "client_secret_post"' },
  'ES256 ID tokens': {
    provider: { client: { id_token_signed_response_alg: 'ES256' }, configuration: { jwks: { keys: [await key('ES256')] } } },
    providerToml: 'userinfo = "always"\nalgorithms = ["ES256"]',
  },
  'PS256 ID tokens': {
    provider: { client: { id_token_signed_response_alg: 'PS256' }, configuration: { jwks: { keys: [await key('PS256')] } } },
    providerToml: 'userinfo = "always"\nalgorithms = ["PS256"]',
  },
  'claims in the ID token': { provider: { configuration: { conformIdTokenClaims: false } }, providerToml: '' },
};

async function key(alg) {
  const { exportJWK, generateKeyPair } = await import('jose');
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...await exportJWK(privateKey), alg, use: 'sig', kid: `key-${alg}` };
}

for (const [name, variation] of Object.entries(variations)) {
  test(`a sign-in through oidc-provider: ${name}`, async () => {
    const house = await start(variation);
    try {
      const config = await client.discovery(new URL(house.issuer), 'app', undefined, client.ClientSecretBasic(secrets.APP_SECRET), { execute: [client.allowInsecureRequests] });
      const verifier = client.randomPKCECodeVerifier();
      const state = client.randomState();
      const url = client.buildAuthorizationUrl(config, { redirect_uri: APP, scope: 'openid email groups', state, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
      const tokens = await client.authorizationCodeGrant(config, await signIn(url), { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true });
      const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
      assert.equal(info.email, 'ada@upstream.example');
      assert.equal(info.email_verified, true);
      assert.deepEqual(info.groups, ['analysts']);
      assert.deepEqual(house.upstream.errors, []);
    } finally {
      await house.stop();
    }
  });
}

test('an algorithm that is not allowed is refused', async () => {
  const house = await start({
    provider: { client: { id_token_signed_response_alg: 'ES256' }, configuration: { jwks: { keys: [await key('ES256')] } } },
    providerToml: 'userinfo = "always"\nalgorithms = ["RS256"]',
  });
  try {
    const config = await client.discovery(new URL(house.issuer), 'app', undefined, client.ClientSecretBasic(secrets.APP_SECRET), { execute: [client.allowInsecureRequests] });
    const url = client.buildAuthorizationUrl(config, { redirect_uri: APP, scope: 'openid', state: 'x', code_challenge: await client.calculatePKCECodeChallenge('v'.repeat(43)), code_challenge_method: 'S256' });
    await assert.rejects(signIn(url), /could not accept the provider/i);
  } finally {
    await house.stop();
  }
});
