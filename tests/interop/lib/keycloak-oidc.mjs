// Keycloak, unmodified, as an OpenID Connect provider: one process, a realm that takes what comes, and one that demands of
// every client what FAPI 2.0 does, as far as that goes without TLS.
import { administer, server } from './keycloak.mjs';
import { CLIENT_SECRET } from './oidc.mjs';

export const REALMS = { usual: 'staff', strict: 'bank' };
export const issuerAt = (port, realm) => `http://localhost:${port}/realms/${REALMS[realm]}`;

const PEOPLE = {
  ada: { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@upstream.example', groups: ['analysts', 'poets'] },
  grace: { firstName: 'Grace', lastName: 'Hopper', email: 'grace@upstream.example', groups: ['poets'] },
};

/** Keys beside those for RS256 that every realm begins with. */
const KEYS = [
  ...['RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => ['rsa-generated', alg, { algorithm: [alg], keySize: ['2048'] }]),
  ...[['P-256', 'ES256'], ['P-384', 'ES384'], ['P-521', 'ES512']].map(([curve, alg]) => ['ecdsa-generated', alg, { ecdsaEllipticCurveKey: [curve] }]),
  ['eddsa-generated', 'EdDSA', { eddsaEllipticCurveKey: ['Ed25519'] }],
];
const keyProvider = (providerId, name, config, priority = 100) => ({
  name, providerId, providerType: 'org.keycloak.keys.KeyProvider', config: { priority: [String(priority)], enabled: ['true'], active: ['true'], ...config },
});

/** What the FAPI 2.0 profile of Keycloak enforces, without what needs TLS or tokens that are bound to a key. */
const STRICT = {
  name: 'strict', description: '',
  executors: [
    { executor: 'confidential-client', configuration: {} },
    { executor: 'secure-client-authenticator', configuration: { 'allowed-client-authenticators': ['client-jwt', 'client-x509'], 'default-client-authenticator': 'client-jwt' } },
    { executor: 'pkce-enforcer', configuration: { 'auto-configure': 'true' } },
    { executor: 'secure-signature-algorithm', configuration: { 'default-algorithm': 'PS256' } },
    { executor: 'secure-signature-algorithm-signed-jwt', configuration: { 'require-client-assertion': 'true' } },
    { executor: 'secure-request-object', configuration: { 'available-period': '3600', 'verify-nbf': 'true', 'encryption-required': 'false' } },
    { executor: 'secure-par-content', configuration: {} },
    { executor: 'reject-implicit-grant', configuration: { 'auto-configure': 'true' } },
  ],
};

const groups = {
  name: 'groups', protocol: 'openid-connect', protocolMapper: 'oidc-group-membership-mapper',
  config: { 'claim.name': 'groups', 'full.path': 'false', 'id.token.claim': 'true', 'userinfo.token.claim': 'true', 'access.token.claim': 'false' },
};

const registered = ({ id, redirectUri, logoutUri, variation: { client = {} } }, jwks) => ({
  clientId: id, protocol: 'openid-connect', enabled: true, redirectUris: [redirectUri], standardFlowEnabled: true, directAccessGrantsEnabled: false,
  publicClient: false, clientAuthenticatorType: 'client-secret', secret: CLIENT_SECRET, protocolMappers: [groups], ...client,
  attributes: {
    'use.jwks.string': 'true', 'jwks.string': JSON.stringify(jwks), 'pkce.code.challenge.method': 'S256',
    'backchannel.logout.url': logoutUri, 'backchannel.logout.session.required': 'true', ...client.attributes,
  },
});

/**
 * Two realms.
 *
 * @param clients of `startOidcHouse`; a variation has `realm`, and `client` as the administration's API has it
 * @param keys the broker's own
 */
export async function startKeycloakOidc({ port, clients, keys }) {
  const { url, log } = await server(port);
  const jwks = { keys: Object.values(keys).map(({ jwk }) => jwk) };
  const realmOf = ({ variation }) => variation.realm ?? 'usual';
  const call = (realm, path, ...rest) => administer(url, `/${REALMS[realm]}${path}`, ...rest);
  for (const realm of Object.keys(REALMS)) {
    await administer(url, '', 'POST', {
      realm: REALMS[realm], enabled: true, groups: [...new Set(Object.values(PEOPLE).flatMap((one) => one.groups))].map((name) => ({ name })),
      users: Object.entries(PEOPLE).map(([username, person]) => ({
        username, enabled: true, emailVerified: true, ...person, credentials: [{ type: 'password', value: 'any', temporary: false }],
      })),
    });
    for (const [providerId, name, config] of KEYS) await call(realm, '/components', 'POST', keyProvider(providerId, name, config));
    for (const client of clients.filter((one) => realmOf(one) === realm)) await call(realm, '/clients', 'POST', registered(client, jwks));
  }
  await call('strict', '/client-policies/profiles', 'PUT', { profiles: [STRICT] });
  await call('strict', '/client-policies/policies', 'PUT', {
    policies: [{ name: 'everybody', description: '', enabled: true, conditions: [{ condition: 'any-client', configuration: {} }], profiles: ['strict'] }],
  });
  const issuers = Object.fromEntries(clients.map((client) => [client.id, issuerAt(port, realmOf(client))]));
  return {
    url, log,
    authorize: (id) => `${issuers[id]}/protocol/openid-connect/auth?`,
    /** The names of the keys with which tokens can be verified, the one that signs by RS256 first. */
    async keyNames() {
      const { keys: all, active } = await call('usual', '/keys');
      return [active.RS256, ...all.filter((key) => key.algorithm === 'RS256' && key.use === 'SIG' && key.kid !== active.RS256).map((key) => key.kid)];
    },
    /** A new key for RS256 that signs from now on. */
    addKey: () => call('usual', '/components', 'POST', keyProvider('rsa-generated', 'next', { algorithm: ['RS256'], keySize: ['2048'] }, 500)),
    /** Removes all keys for RS256 that sign no more. */
    async removeOldKeys() {
      const { keys: all, active } = await call('usual', '/keys');
      const old = all.filter((key) => key.algorithm === 'RS256' && key.use === 'SIG' && key.kid !== active.RS256);
      for (const { providerId } of old) await call('usual', `/components/${providerId}`, 'DELETE');
      return old.length;
    },
    /** A realm's own page for it, and the button on it. */
    async signOut(browser, realm) {
      const page = await browser.open(`${issuerAt(port, realm)}/protocol/openid-connect/logout`);
      return browser.submit(page, { confirmLogout: 'Logout' });
    },
    stop: () => Promise.all(Object.values(REALMS).map((realm) => administer(url, `/${realm}`, 'DELETE'))),
  };
}

/** Its login page, which knows the name already where a new proof is wanted; or what it shows in place of one. */
export async function signInAtKeycloak(browser, page, user, stopAt) {
  const asks = (name) => page.root.querySelector(`input[name=${name}]`);
  return asks('password') ? browser.submit(page, { password: 'any', username: asks('username') ? user : undefined }, { stopAt }) : page;
}
