// panva's oidc-provider, unmodified, with many clients: one process, and several issuers that demand different things.
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import { CLIENT_SECRET } from './oidc.mjs';

const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
export const ALGORITHMS = [...RSA, 'ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA'];

const PEOPLE = {
  ada: { name: 'Ada Lovelace', given_name: 'Ada', family_name: 'Lovelace', groups: ['analysts'] },
  grace: { name: 'Grace Hopper', given_name: 'Grace', family_name: 'Hopper', groups: [] },
};

/** What each issuer demands of all of its clients. */
const ISSUERS = {
  usual: {},
  telling: { conformIdTokenClaims: false },
  pushed: { features: { pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true } } },
  signed: { features: { requestObjects: { enabled: true, requireSignedRequestObject: true } } },
  strict: {
    pkce: { required: () => true },
    features: {
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      requestObjects: { enabled: true, requireSignedRequestObject: true },
    },
  },
};
export const NAMES = Object.keys(ISSUERS);

/** Its keys: one RSA key for all algorithms of RSA, and one for each curve. */
async function signingKeys() {
  const made = { RS256: 'rsa', ES256: 'p256', ES384: 'p384', ES512: 'p521', Ed25519: 'ed' };
  const keys = await Promise.all(Object.entries(made).map(async ([alg, kid]) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...await exportJWK(privateKey), kid, use: 'sig' };
  }));
  return keys;
}

function issuer(name, url, clients, keys) {
  const { features = {}, ...more } = ISSUERS[name];
  const enabled = { enabled: true };
  const everything = [...ALGORITHMS, 'HS256'];
  const provider = new Provider(url, {
    clients,
    jwks: { keys },
    cookies: { keys: ['only for tests'], long: { sameSite: 'lax' }, short: { sameSite: 'lax' } },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'given_name', 'family_name'], groups: ['groups'] },
    scopes: ['openid', 'offline_access'],
    conformIdTokenClaims: true,
    enabledJWA: {
      clientAuthSigningAlgValues: everything, idTokenSigningAlgValues: everything, requestObjectSigningAlgValues: everything, userinfoSigningAlgValues: everything,
    },
    features: {
      devInteractions: enabled, rpInitiatedLogout: enabled, backchannelLogout: enabled, encryption: enabled, jwtUserinfo: enabled, requestObjects: enabled,
      ...features,
    },
    // The broker is on this very machine, where the provider's own fetch does not go.
    fetch: (address, options) => fetch(address, { ...options, dispatcher: undefined }),
    findAccount: (context, id) => {
      const domain = `${context.oidc.client.clientId}.example`;
      return PEOPLE[id] && { accountId: id, claims: async () => ({ sub: id, email: `${id}@${domain}`, email_verified: true, ...PEOPLE[id] }) };
    },
    ...more,
  });
  return provider;
}

/**
 * Starts the issuers.
 *
 * @param ports one for each issuer
 * @param clients of `startOidcHouse`; a variation has `issuer` (one of `NAMES`) and `client`, metadata
 * @param keys the broker's own
 */
export async function startPanva({ ports, clients, keys }) {
  const signing = await signingKeys();
  // One that it may encrypt for, too: we decrypt nothing.
  const ourKeys = [...Object.values(keys).map(({ jwk }) => jwk), { ...keys.RSA.jwk, kid: 'our-encryption', use: 'enc' }];
  const errors = [];
  const refusals = [];
  const servers = [];
  const at = (name) => `http://localhost:${ports[NAMES.indexOf(name)]}`;
  for (const name of NAMES) {
    const own = clients.filter(({ variation }) => (variation.issuer ?? 'usual') === name);
    const provider = issuer(name, at(name), own.map(({ id, redirectUri, logoutUri, variation: { client = {} } }) => ({
      client_id: id, client_secret: /^(none|private_key_jwt)$/.test(client.token_endpoint_auth_method) ? undefined : CLIENT_SECRET,
      redirect_uris: [redirectUri], response_types: ['code'], grant_types: ['authorization_code', 'refresh_token'],
      jwks: { keys: ourKeys }, backchannel_logout_uri: logoutUri, backchannel_logout_session_required: true, ...client,
    })), signing);
    provider.on('server_error', (_, error) => errors.push(error));
    for (const event of ['authorization.error', 'grant.error', 'pushed_authorization_request.error', 'userinfo.error', 'backchannel.error']) {
      provider.on(event, (...about) => refusals.push(`${event}: ${about.map((one) => one?.error_description ?? one?.message ?? '').join(' ')}`));
    }
    const server = createServer(provider.callback());
    await new Promise((resolve) => server.listen(ports[NAMES.indexOf(name)], '127.0.0.1', resolve));
    servers.push(server);
  }
  const issuers = Object.fromEntries(clients.map(({ id, variation }) => [id, at(variation.issuer ?? 'usual')]));
  return {
    errors, at,
    authorize: (id) => `${issuers[id]}/auth?`,
    log: () => refusals.splice(0).join('\n'),
    stop: () => Promise.all(servers.map((server) => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }))),
  };
}
