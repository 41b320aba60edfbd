// oidc-provider, unmodified, as the upstream: every way to authenticate, every algorithm, requests that are pushed and
// signed, and what it takes to be refused. One broker has them all.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './lib/browser.mjs';
import { byKey, privateKeyJwt, signInByOidc, startOidcHouse } from './lib/oidc.mjs';
import { ALGORITHMS, NAMES, startPanva } from './lib/panva.mjs';
import { freePorts } from './lib/ports.mjs';
import { signInAtProvider } from './lib/provider.mjs';
import { stillSignedIn } from './lib/saml.mjs';

const SCOPES = 'scopes = ["openid", "email", "profile", "groups"]';
const ASKED = `${SCOPES}\nuserinfo = "always"`;
const KEYS = {
  RS256: 'RSA', RS384: 'RSA', RS512: 'RSA', PS256: 'RSA', PS384: 'RSA', PS512: 'RSA', ES256: 'EC', EdDSA: 'ED',
};
const slug = (...words) => words.join('-').toLowerCase().replaceAll('_', '-');
const ours = (alg) => (alg === 'Ed25519' ? 'EdDSA' : alg);
const entries = (list, make) => Object.fromEntries(list.map(make));

/** Ways to authenticate. */
const authentication = {
  public: { toml: 'client_auth = "none"', client: { token_endpoint_auth_method: 'none' } },
  ...entries(['client_secret_basic', 'client_secret_post', 'client_secret_jwt'], (method) => [
    slug('auth', method), { toml: `client_auth = "${method}"`, client: { token_endpoint_auth_method: method } },
  ]),
  ...entries(Object.entries(KEYS), ([alg, kind]) => [
    slug('auth-private-key', alg),
    { toml: privateKeyJwt(kind, `signing_alg = "${alg}"`), client: { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: alg } },
  ]),
  'auth-for-the-issuer': {
    toml: privateKeyJwt('EC', 'assertion_audience = "issuer"'), client: { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256' },
  },
};

/** What ID tokens and userinfo are signed with. */
const signatures = {
  ...entries(ALGORITHMS, (alg) => [slug('id-token', alg), { toml: `algorithms = ["${ours(alg)}"]`, client: { id_token_signed_response_alg: alg } }]),
  'id-token-hs256': { toml: 'id_token_hs256 = true', client: { id_token_signed_response_alg: 'HS256' } },
  ...entries(['RS256', 'PS256', 'ES256', 'Ed25519'], (alg) => [
    slug('userinfo', alg), { toml: `userinfo_signed = true\nalgorithms = ["RS256", "${ours(alg)}"]`.replace('"RS256", "RS256"', '"RS256"'), client: { userinfo_signed_response_alg: alg } },
  ]),
};

const always = { pushed: 'pushed_authorization_requests = "always"', signed: 'request_object = "always"' };
const keyed = (alg, client) => ({ token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: alg, ...client });

/** How the request gets there; `address` is what the browser's address has of it. */
const requests = {
  'claims-in-the-id-token': { issuer: 'telling', asks: SCOPES, toml: '' },
  'form-post': { toml: 'response_mode = "form_post"' },
  'pushed-basic': { toml: always.pushed, client: { require_pushed_authorization_requests: true }, address: ['client_id', 'request_uri'] },
  'pushed-post': {
    toml: `client_auth = "client_secret_post"\n${always.pushed}`, address: ['client_id', 'request_uri'],
    client: { token_endpoint_auth_method: 'client_secret_post', require_pushed_authorization_requests: true },
  },
  'pushed-secret-jwt': {
    toml: `client_auth = "client_secret_jwt"\n${always.pushed}`, address: ['client_id', 'request_uri'],
    client: { token_endpoint_auth_method: 'client_secret_jwt', require_pushed_authorization_requests: true },
  },
  'pushed-public': { toml: `client_auth = "none"\n${always.pushed}`, client: { token_endpoint_auth_method: 'none' }, address: ['client_id', 'request_uri'] },
  'pushed-by-demand': { issuer: 'pushed', toml: '', address: ['client_id', 'request_uri'] },
  'pushed-form-post': { issuer: 'pushed', toml: 'response_mode = "form_post"', address: ['client_id', 'request_uri'] },
  ...entries(Object.entries(KEYS), ([alg, kind]) => [
    slug('signed', alg), {
      toml: `${byKey(kind, `signing_alg = "${alg}"`)}\n${always.signed}`, address: ['client_id', 'request'],
      client: { require_signed_request_object: true, request_object_signing_alg: alg },
    },
  ]),
  'signed-by-demand': { issuer: 'signed', toml: privateKeyJwt('EC'), client: keyed('ES256'), address: ['client_id', 'request'] },
  'signed-and-pushed': {
    toml: privateKeyJwt('RSA', `signing_alg = "PS256"\n${always.pushed}\n${always.signed}`), address: ['client_id', 'request_uri'],
    client: keyed('PS256', { require_signed_request_object: true, require_pushed_authorization_requests: true, request_object_signing_alg: 'PS256' }),
  },
  strict: { issuer: 'strict', toml: privateKeyJwt('ED'), client: keyed('EdDSA'), address: ['client_id', 'request_uri'] },
};

/** What must not work: the reason, and what the settings or the provider's are otherwise. */
const refused = {
  'id-token-unexpected': { toml: 'algorithms = ["RS256"]', client: { id_token_signed_response_alg: 'ES256' }, why: /jose\.alg/ },
  'id-token-by-secret': { toml: '', client: { id_token_signed_response_alg: 'HS256' }, why: /jose\.alg/ },
  'id-token-not-by-secret': { toml: 'id_token_hs256 = true', why: /jose\.alg/ },
  'id-token-encrypted': { toml: '', client: { id_token_encrypted_response_alg: 'RSA-OAEP-256' }, why: /jose\.format/ },
  'userinfo-signed-and-encrypted': {
    toml: 'userinfo_signed = true', client: { userinfo_signed_response_alg: 'RS256', userinfo_encrypted_response_alg: 'RSA-OAEP-256' }, why: /jose\.format/,
  },
  'userinfo-plain': { toml: 'userinfo_signed = true', why: /oidc\.userinfo\.format/ },
  'authenticates-otherwise': { toml: 'client_auth = "client_secret_post"', client: { token_endpoint_auth_method: 'client_secret_jwt' }, why: /oidc\.token_error/ },
  'by-another-key': { toml: privateKeyJwt('EC'), client: keyed('RS256'), why: /oidc\.token_error/ },
  'pushed-by-nobody': { toml: `client_auth = "none"\n${always.pushed}`, client: { token_endpoint_auth_method: 'private_key_jwt' }, why: /oidc\.pushed_error[^]*invalid_client|invalid_client[^]*oidc\.pushed_error/ },
  'pushed-not': { issuer: 'pushed', toml: 'pushed_authorization_requests = "never"', why: /oidc\.provider_error|Pushed Authorization Request/i },
  'signed-not': { issuer: 'signed', toml: privateKeyJwt('EC', 'request_object = "never"'), client: keyed('ES256'), why: /oidc\.provider_error|Request Object/i },
  'signed-without-key': { issuer: 'signed', toml: '', why: /oidc\.request_object/ },
  'signed-by-another-algorithm': {
    toml: `${byKey('RSA', 'signing_alg = "RS256"')}\n${always.signed}\n${always.pushed}`, client: { require_signed_request_object: true, request_object_signing_alg: 'PS256' }, why: /oidc\.pushed_error/,
  },
  'pkce-not': { issuer: 'strict', toml: privateKeyJwt('ED', 'pkce = false'), client: keyed('EdDSA'), why: /oidc\.pushed_error/ },
};

const variations = Object.fromEntries(
  [authentication, signatures, requests, refused].flatMap(Object.entries).map(([id, one]) => [id, { ...one, toml: `${one.asks ?? ASKED}\n${one.toml}` }]),
);
const accepted = Object.entries({ ...authentication, ...signatures, ...requests });
const login = (browser, page, user, stopAt) => signInAtProvider(browser, page, user, { stopAt });
const parameters = (url) => [...url.searchParams.keys()].toSorted();

let house;
before(async () => {
  const ports = await freePorts(NAMES.length);
  const issuerOf = (id) => `http://localhost:${ports[NAMES.indexOf(variations[id].issuer ?? 'usual')]}`;
  house = await startOidcHouse({ variations, issuerOf, domainOf: (id) => `${id}.example`, start: (more) => startPanva({ ports, ...more }) });
});
after(() => house?.stop());

for (const [id, { address }] of accepted) {
  test(`a sign-in through oidc-provider: ${id}`, async () => {
    const { info, asked } = await signInByOidc(house, id, { login });
    assert.equal(info.name, 'Ada Lovelace');
    assert.equal(info.email, `ada@${id}.example`);
    assert.equal(info.email_verified, true);
    assert.deepEqual(info.groups, ['analysts']);
    if (address) assert.deepEqual(parameters(asked), address, 'and nothing else in the address');
    const account = await house.account(info.email);
    const { provider, subject, issuer } = account.identities[0];
    assert.deepEqual([account.identities.length, provider, subject, issuer], [1, id, 'ada', asked.origin]);
    assert.deepEqual(house.provider.errors, []);
  });
}

for (const id of ['auth-client-secret-jwt', 'pushed-by-demand', 'strict']) {
  test(`two people, and one of them again, through oidc-provider: ${id}`, async () => {
    const { info } = await signInByOidc(house, id, { login });
    const grace = await signInByOidc(house, id, { login, user: 'grace' });
    assert.notEqual(grace.info.sub, info.sub);
    assert.deepEqual(grace.info.groups ?? [], []);
    assert.equal((await signInByOidc(house, id, { login })).info.sub, info.sub);
  });
}

for (const [id, { why }] of Object.entries(refused)) {
  test(`what oidc-provider does otherwise is refused: ${id}`, async () => {
    await assert.rejects(signInByOidc(house, id, { login }), (error) => {
      assert.match(error.why ?? error.message, why);
      return true;
    });
    assert.deepEqual(house.provider.errors.splice(0), []);
  });
}

test('wishes of the app reach oidc-provider within a pushed and signed request, and its answer shows them', async () => {
  const browser = new Browser();
  const first = await signInByOidc(house, 'signed-and-pushed', { login, browser, parameters: { max_age: '3600' } });
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const again = await signInByOidc(house, 'signed-and-pushed', { login, browser, parameters: { prompt: 'login', max_age: '0' } });
  assert.equal(again.info.sub, first.info.sub);
  assert.ok(again.tokens.claims().auth_time > first.tokens.claims().auth_time, 'a new proof');
});

test('who signs out at oidc-provider is signed out at the app, by its server', async () => {
  const browser = new Browser();
  const one = await signInByOidc(house, 'pushed-basic', { login, browser });
  const other = await signInByOidc(house, 'pushed-basic', { login, user: 'grace' });
  assert.equal(await stillSignedIn(house, one), true);
  const page = await browser.open(`${house.provider.at('usual')}/session/end`);
  await browser.submit(page, { logout: 'yes' }, { control: 'xsrf' });
  for (let tries = 0; tries < 50 && await stillSignedIn(house, one); tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(await stillSignedIn(house, one), false, house.log());
  assert.equal(await stillSignedIn(house, other), true, 'nobody else is');
});
