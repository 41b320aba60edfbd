// Glewlwyd, as Debian ships it: a provider of another make, in another language, with other libraries.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ALGORITHMS, issuerAt, SECRET, signInAtGlewlwyd as login, startGlewlwyd } from './lib/glewlwyd.mjs';
import { byKey, privateKeyJwt, signInByOidc, startOidcHouse } from './lib/oidc.mjs';
import { freePorts } from './lib/ports.mjs';

const skip = process.env.COUNTERSIGN_GLEWLWYD ? false : 'Glewlwyd is not set up; ./dev test does it';
const KEYS = { RS256: 'RSA', PS256: 'RSA', RS512: 'RSA', ES256: 'EC', EdDSA: 'ED' };
const entries = (list, make) => Object.fromEntries(list.map(make));
const by = (...methods) => ({ token_endpoint_auth_method: methods });
const always = { pushed: 'pushed_authorization_requests = "always"', signed: 'request_object = "always"' };

/** `toml` is ours, `client` its own; `address` is what the browser's address has of the request. */
const accepted = {
  basic: {},
  post: { toml: 'client_auth = "client_secret_post"', client: by('client_secret_post') },
  'secret-jwt': { toml: 'client_auth = "client_secret_jwt"', client: { ...by('client_secret_jwt'), token_endpoint_signing_alg: 'HS256' } },
  public: { toml: 'client_auth = "none"', client: { public: true, ...by('none') } },
  ...entries(Object.entries(KEYS), ([alg, kind]) => [
    `private-key-${alg.toLowerCase()}`, { toml: privateKeyJwt(kind, `signing_alg = "${alg}"`), client: { ...by('private_key_jwt'), token_endpoint_signing_alg: alg } },
  ]),
  ...entries(ALGORITHMS.filter((alg) => alg !== 'EdDSA'), (alg) => [`id-token-${alg.toLowerCase()}`, { toml: `algorithms = ["${alg}"]`, client: { sign_kid: alg } }]),
  'form-post': { issuer: 'unnamed', toml: 'response_mode = "form_post"' },
  'pkce-demanded': { issuer: 'pkce' },
  'pushed-by-demand': { issuer: 'pushed', address: ['client_id', 'request_uri'] },
  'pushed-by-key': {
    issuer: 'pushed', toml: privateKeyJwt('EC', 'assertion_audience = "endpoint"'), client: { ...by('private_key_jwt'), token_endpoint_signing_alg: 'ES256' }, address: ['client_id', 'request_uri'],
  },
  ...entries(Object.entries(KEYS), ([alg, kind]) => [`signed-${alg.toLowerCase()}`, {
    toml: `${byKey(kind, `signing_alg = "${alg}"`)}\n${always.signed}`, client: { request_object_signing_alg: alg }, address: ['client_id', 'request'],
  }]),
  'signed-and-pushed': {
    issuer: 'pushed', toml: privateKeyJwt('RSA', `signing_alg = "PS256"\nassertion_audience = "endpoint"\n${always.signed}`), address: ['client_id', 'request_uri'],
    client: { ...by('private_key_jwt'), token_endpoint_signing_alg: 'PS256', request_object_signing_alg: 'PS256' },
  },
};

/** What must not work, and what the operator is told. The first four are where it leaves the specifications. */
const refused = {
  // The hash of EdDSA with Ed25519 is SHA-512 (RFC 8032 §5.1, OIDC Core §3.1.3.6); it takes SHA-256.
  'id-token-eddsa': { toml: 'algorithms = ["EdDSA"]', client: { sign_kid: 'EdDSA' }, why: /oidc\.id_token\.at_hash/ },
  // Within a form, what is no letter is encoded as in an address, and that in HTML.
  'form-post-named': { toml: 'response_mode = "form_post"', why: /oidc\.iss_param[^]*http%3A/ },
  // OIDC Core §5.3.2: signed userinfo should say for whom it is.
  'userinfo-for-anybody': { toml: 'userinfo_signed = true', why: /oidc\.userinfo\.format[^]*aud absent/ },
  // RFC 9126 §2: the issuer must be taken.
  'pushed-for-the-issuer': { issuer: 'pushed', toml: privateKeyJwt('EC'), client: { ...by('private_key_jwt'), token_endpoint_signing_alg: 'ES256' }, why: /oidc\.pushed_error/ },
  'id-token-unexpected': { toml: 'algorithms = ["RS256"]', client: { sign_kid: 'ES256' }, why: /jose\.alg/ },
  'by-another-method': { toml: 'client_auth = "client_secret_post"', client: by('private_key_jwt'), why: /oidc\.token_error/ },
  'pushed-by-another-method': { issuer: 'pushed', toml: '', client: by('private_key_jwt'), why: /oidc\.pushed_error/ },
  'pkce-not': { issuer: 'pkce', toml: 'pkce = false', why: /oidc\.provider_error/ },
};

const variations = Object.fromEntries(Object.entries({ ...accepted, ...refused }).map(([id, one]) => [
  id, { ...one, toml: `scopes = ["openid", "email", "profile", "groups"]\nuserinfo = "always"\n${one.toml ?? ''}` },
]));

let house;
before(async () => {
  if (skip) return;
  const [port] = await freePorts(1);
  house = await startOidcHouse({ variations, secret: SECRET, issuerOf: (id) => issuerAt(port, variations[id].issuer ?? 'usual'), start: (more) => startGlewlwyd({ port, ...more }) });
});
after(() => house?.stop());

for (const [id, { address }] of Object.entries(accepted)) {
  test(`a sign-in through Glewlwyd: ${id}`, { skip }, async () => {
    const { info, asked } = await signInByOidc(house, id, { login });
    assert.equal(info.name, 'Ada Lovelace');
    assert.equal(info.email, 'ada@upstream.example');
    assert.deepEqual(info.groups, ['analysts']);
    if (address) assert.deepEqual([...asked.searchParams.keys()].toSorted(), address, 'and nothing else in the address');
    const { identities } = await house.account(info.sub);
    assert.deepEqual(identities.map(({ provider, issuer }) => [provider, issuer]), [[id, `${asked.origin}${asked.pathname.replace(/\/auth$/, '')}`]]);
  });
}

for (const [id, { why }] of Object.entries(refused)) {
  test(`what Glewlwyd does otherwise is refused: ${id}`, { skip }, async () => {
    await assert.rejects(signInByOidc(house, id, { login }), (error) => {
      assert.match(error.why ?? error.message, why);
      return true;
    });
  });
}

test('two people, and one of them again, through Glewlwyd', { skip }, async () => {
  const { info } = await signInByOidc(house, 'signed-and-pushed', { login });
  const grace = await signInByOidc(house, 'signed-and-pushed', { login, user: 'grace' });
  assert.notEqual(grace.info.sub, info.sub);
  assert.deepEqual(grace.info.groups ?? [], []);
  assert.equal((await signInByOidc(house, 'signed-and-pushed', { login })).info.sub, info.sub);
});
