// Keycloak as it is distributed, by the preset.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { issuerAt, REALMS, signInAtKeycloak as login, startKeycloakOidc } from './lib/keycloak-oidc.mjs';
import { stopKeycloak } from './lib/keycloak.mjs';
import { byKey, privateKeyJwt, signInByOidc, startOidcHouse } from './lib/oidc.mjs';
import { freePorts } from './lib/ports.mjs';
import { stillSignedIn } from './lib/saml.mjs';

const skip = process.env.COUNTERSIGN_KEYCLOAK ? false : 'by ./dev interop alone';
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const KEYS = { RS256: 'RSA', PS256: 'RSA', ES256: 'EC', EdDSA: 'ED' };
const entries = (list, make) => Object.fromEntries(list.map(make));
const always = { pushed: 'pushed_authorization_requests = "always"', signed: 'request_object = "always"' };
const byJwt = (alg, attributes) => ({ clientAuthenticatorType: 'client-jwt', attributes: { 'token.endpoint.auth.signing.alg': alg, ...attributes } });
const pushed = { 'require.pushed.authorization.requests': 'true' };
const signed = (alg) => ({ 'request.object.required': 'request only', 'request.object.signature.alg': alg });
/** Both at once: `request only` would take no reference to a pushed request. */
const both = (alg) => ({ ...pushed, ...signed(alg), 'request.object.required': 'request or request_uri' });

/** `toml` is ours, `client` Keycloak's; `address` is what the browser's address has of the request. */
const accepted = {
  basic: {},
  post: { toml: 'client_auth = "client_secret_post"' },
  public: { toml: 'client_auth = "none"', client: { publicClient: true } },
  'secret-jwt': { toml: 'client_auth = "client_secret_jwt"', client: { clientAuthenticatorType: 'client-secret-jwt' } },
  ...entries(Object.entries(KEYS), ([alg, kind]) => [
    `private-key-${alg.toLowerCase()}`, { toml: privateKeyJwt(kind, `signing_alg = "${alg}"`), client: byJwt(alg) },
  ]),
  'for-the-issuer': { toml: privateKeyJwt('EC', 'assertion_audience = "issuer"'), client: byJwt('ES256') },
  ...entries(ALGORITHMS, (alg) => [`id-token-${alg.toLowerCase()}`, { toml: `algorithms = ["${alg}"]`, client: { attributes: { 'id.token.signed.response.alg': alg } } }]),
  ...entries(['RS256', 'PS256', 'ES256', 'EdDSA'], (alg) => [`userinfo-${alg.toLowerCase()}`, {
    toml: 'userinfo = "always"\nuserinfo_signed = true', client: { attributes: { 'user.info.response.signature.alg': alg } },
  }]),
  'form-post': { toml: 'response_mode = "form_post"' },
  'pushed-basic': { toml: always.pushed, client: { attributes: pushed }, address: ['client_id', 'request_uri'] },
  'pushed-by-key': { toml: privateKeyJwt('EC', always.pushed), client: byJwt('ES256', pushed), address: ['client_id', 'request_uri'] },
  ...entries(Object.entries(KEYS), ([alg, kind]) => [`signed-${alg.toLowerCase()}`, {
    toml: `${byKey(kind, `signing_alg = "${alg}"`)}\n${always.signed}`, client: { attributes: signed(alg) }, address: ['client_id', 'request'],
  }]),
  'signed-and-pushed': {
    toml: privateKeyJwt('EC', `${always.pushed}\n${always.signed}`), client: byJwt('ES256', both('ES256')), address: ['client_id', 'request_uri'],
  },
  strict: {
    realm: 'strict', toml: privateKeyJwt('RSA', `signing_alg = "PS256"\n${always.pushed}\n${always.signed}\nrequire_iss_parameter = true`),
    client: byJwt('PS256', { ...both('PS256'), 'id.token.signed.response.alg': 'PS256', 'user.info.response.signature.alg': 'PS256' }), address: ['client_id', 'request_uri'],
  },
};

/** What must not work: what the operator, or the page, says. */
const refused = {
  'id-token-unexpected': { toml: 'algorithms = ["RS256"]', client: { attributes: { 'id.token.signed.response.alg': 'ES256' } }, why: /jose\.alg/ },
  'userinfo-plain': { toml: 'userinfo = "always"\nuserinfo_signed = true', why: /oidc\.userinfo\.format/ },
  'by-another-algorithm': { toml: privateKeyJwt('RSA', 'signing_alg = "RS256"'), client: byJwt('PS256'), why: /oidc\.token_error/ },
  'pushed-not': { client: { attributes: pushed }, why: /oidc\.provider_error/ },
  'pushed-by-another-method': { toml: always.pushed, client: byJwt('ES256', pushed), why: /oidc\.pushed_error/ },
  'signed-not': { client: { attributes: signed('ES256') }, why: /Invalid Request/ },
  'signed-by-another-algorithm': {
    toml: `${byKey('EC')}\n${always.signed}\n${always.pushed}`, client: { attributes: both('PS256') }, why: /oidc\.pushed_error/,
  },
  'pkce-not': { toml: 'pkce = false', why: /oidc\.provider_error|code_challenge/i },
  'strict-not-pushed': {
    realm: 'strict', toml: privateKeyJwt('RSA', `signing_alg = "PS256"\n${always.signed}`), why: /oidc\.provider_error|request/i,
    client: byJwt('PS256', { ...both('PS256'), 'id.token.signed.response.alg': 'PS256' }),
  },
};

const all = { ...accepted, ...refused };
let house;
before(async () => {
  if (skip) return;
  const [port] = await freePorts(1);
  const head = ({ realm = 'usual' }) => `preset = "keycloak"\nbase_url = "http://localhost:${port}"\nrealm = "${REALMS[realm]}"`;
  const variations = entries(Object.entries(all), ([id, one]) => [id, { ...one, head: head(one) }]);
  house = await startOidcHouse({ variations, start: (more) => startKeycloakOidc({ port, ...more }) });
  house.issuerOf = (id) => issuerAt(port, all[id].realm ?? 'usual');
});
after(async () => {
  await house?.stop();
  await stopKeycloak();
});

for (const [id, { address }] of Object.entries(accepted)) {
  test(`a sign-in through Keycloak: ${id}`, { skip }, async () => {
    const { info, asked } = await signInByOidc(house, id, { login });
    assert.equal(info.name, 'Ada Lovelace');
    assert.equal(info.email, 'ada@upstream.example');
    assert.deepEqual(info.groups, ['analysts']);
    if (address) assert.deepEqual([...asked.searchParams.keys()].toSorted(), address, 'and nothing else in the address');
    const { identities } = await house.account(info.sub);
    assert.deepEqual(identities.map(({ provider, issuer }) => [provider, issuer]), [[id, house.issuerOf(id)]]);
  });
}

for (const [id, { why }] of Object.entries(refused)) {
  test(`what Keycloak does otherwise is refused: ${id}`, { skip }, async () => {
    await assert.rejects(signInByOidc(house, id, { login }), (error) => {
      assert.match(error.why ?? error.message, why);
      return true;
    });
  });
}

test('two people, and one of them again, through Keycloak', { skip }, async () => {
  const { info } = await signInByOidc(house, 'strict', { login });
  const grace = await signInByOidc(house, 'strict', { login, user: 'grace' });
  assert.notEqual(grace.info.sub, info.sub);
  assert.deepEqual(grace.info.groups ?? [], []);
  assert.equal((await signInByOidc(house, 'strict', { login })).info.sub, info.sub);
});

test('a fresh proof is demanded within a pushed request, and shown', { skip }, async () => {
  const browser = new Browser();
  const first = await signInByOidc(house, 'signed-and-pushed', { login, browser, parameters: { max_age: '3600' } });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const again = await signInByOidc(house, 'signed-and-pushed', { login, browser, parameters: { prompt: 'login', max_age: '0' } });
  assert.ok(again.tokens.claims().auth_time > first.tokens.claims().auth_time, 'a new proof');
});

test('Keycloak changes its key: no sign-in is lost', { skip }, async () => {
  const first = await signInByOidc(house, 'basic', { login });
  const before = await house.provider.keyNames();
  await house.provider.addKey();
  const [now, ...others] = await house.provider.keyNames();
  assert.ok(!before.includes(now) && others.includes(before[0]), 'a new one signs, the old one is published still');
  assert.equal((await signInByOidc(house, 'basic', { login })).info.sub, first.info.sub);
  assert.equal(await house.provider.removeOldKeys(), before.length);
  assert.deepEqual(await house.provider.keyNames(), [now]);
  assert.equal((await signInByOidc(house, 'basic', { login })).info.sub, first.info.sub);
  assert.equal((await signInByOidc(house, 'post', { login })).info.name, 'Ada Lovelace', 'by another entry, which has not seen the new one yet');
});

for (const [id, realm] of [['basic', 'usual'], ['strict', 'strict']]) {
  test(`who signs out at Keycloak is signed out at the app, by its server: ${id}`, { skip }, async () => {
    const browser = new Browser();
    const one = await signInByOidc(house, id, { login, browser });
    const other = await signInByOidc(house, id, { login, user: 'grace' });
    assert.equal(await stillSignedIn(house, one), true);
    await house.provider.signOut(browser, realm);
    for (let tries = 0; tries < 50 && await stillSignedIn(house, one); tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(await stillSignedIn(house, one), false, house.log());
    assert.equal(await stillSignedIn(house, other), true, 'nobody else is');
  });
}
