// One broker with an OpenID Connect provider that nobody here wrote, several times: once for each variation of how the
// two agree to speak.
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as client from 'openid-client';
import { startBroker } from './broker.mjs';
import { Browser } from './browser.mjs';
import { discover, SCOPE } from './client.mjs';
import { APP, config, secrets } from './setup.mjs';

const run = promisify(execFile);

/** The secret of every client that has one: as long as HS256 wants it, with characters that Basic must encode. */
export const CLIENT_SECRET = 'a secret: only for/these+tests%0123456789';

/** The broker's own private keys, one of each kind that it can have: as PEM for it, as JWK for providers. */
function ownKeys() {
  const kinds = {
    RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    EC: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ED: generateKeyPairSync('ed25519'),
  };
  return Object.fromEntries(Object.entries(kinds).map(([kind, pair]) => [kind, {
    pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    publicPem: pair.publicKey.export({ type: 'spki', format: 'pem' }),
    jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid: `our-${kind}`, use: 'sig' },
  }]));
}

/** Lines of a provider's table: we authenticate, or sign requests, by a key of this kind. */
export const byKey = (kind, more = '') => `private_key = "env:KEY_${kind}"\nkey_id = "our-${kind}"\n${more}`;
export const privateKeyJwt = (kind, more = '') => `client_auth = "private_key_jwt"\n${byKey(kind, more)}`;

/**
 * Starts the broker and the provider. Each variation is a provider of the broker's, whose id is also our client id there.
 *
 * @param start starts the provider: `({ clients, keys }) => …`, where `clients` has of each variation `id`, `redirectUri`,
 *   `logoutUri` and the `variation` itself
 * @param issuerOf the issuer of one of them
 * @param secret of every client that has one
 * @param domainOf the domain for which one of them is authoritative, if it is for any
 * @param variations by id: `toml` is added to the provider's table, `head` says who the provider is if its issuer does not,
 *   the rest is for `start`
 */
export async function startOidcHouse({ start, variations, issuerOf, domainOf = () => undefined, secret = CLIENT_SECRET }) {
  const keys = ownKeys();
  const env = { ...secrets, CLIENT_SECRET: secret, ...Object.fromEntries(Object.entries(keys).map(([kind, { pem }]) => [`KEY_${kind}`, pem])) };
  const providers = () => Object.entries(variations).map(([id, { head, toml = '' }]) => `
[[provider]]
id = "${id}"
name = "${id}"
${head ?? `kind = "oidc"\nissuer = "${issuerOf(id)}"`}
client_id = "${id}"
${/client_auth = "(private_key_jwt|none)"/.test(toml) ? '' : 'client_secret = "env:CLIENT_SECRET"'}
${domainOf(id) ? `authoritative_for = ["${domainOf(id)}"]` : ''}
allow_loopback = true
provisioning = "open"
${toml}

[[provider.map]]
rule = "analysts"
group = "analysts"
when = "'analysts' in claims.groups"
`).join('\n');
  let broker;
  let provider;
  const stop = async () => {
    await provider?.stop();
    await broker?.stop();
  };
  try {
    broker = await startBroker({ config: config(''), providers, env });
    const clients = Object.entries(variations).map(([id, variation]) => ({
      id, variation, redirectUri: `${broker.issuer}/upstream/${id}/callback`, logoutUri: `${broker.issuer}/upstream/${id}/logout`,
    }));
    provider = await start({ clients, keys });
    // An id may begin with a hyphen, so that it stands behind all options.
    const command = async (words, who) =>
      (await run(process.env.COUNTERSIGN_BIN, [...words, '--config', join(broker.folder, 'countersign.toml'), '--', who], { env: { ...process.env, ...env } })).stdout;
    return {
      broker, issuer: broker.issuer, provider, stop,
      /** What the operator is told of a refusal. */
      trace: (reference) => command(['trace'], reference),
      /** The account of an id or address, as the operator sees it. */
      account: async (who) => JSON.parse(await command(['account', 'show', '--json'], who)),
      log: () => `--- the provider\n${provider.log?.() ?? ''}\n--- the broker\n${broker.log.join('')}`,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What a person reads on a page. */
const read = (page) => page.root?.querySelector('body')?.text.replace(/\s+/g, ' ').trim();

/** A page whose form brings the provider's answer to us, as browsers without scripts post it. */
async function follow(browser, page, { issuer, visited, stopAt }) {
  const form = !page.stopped && browser.formTo(page, `${issuer}/upstream/`);
  if (!form) return page;
  visited.push({ url: form.url, form: form.form });
  return browser.open(form.url, { method: 'POST', body: form.form.toString(), stopAt });
}

/**
 * A whole sign-in of the app by one of the providers.
 *
 * @param login signs in at the provider, from the page that it shows: `(browser, page, user, stopAt) => page`
 * @returns what userinfo says, the tokens, and the address at which the provider was asked
 * @throws where the sign-in ends on another page: `page`, and in `why` what the operator is told, or the page says that is
 *   not ours
 */
export async function signInByOidc(house, id, { login, user = 'ada', browser = new Browser(), parameters = {} }) {
  house.client ??= await discover(house);
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(house.client, {
    redirect_uri: APP, scope: SCOPE, state, nonce, idp_hint: id, ...parameters,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  });
  const visited = [];
  // Stops where the broker sends the browser to the provider, to see what the address says.
  let page = await browser.open(url, { stopAt: house.provider.authorize(id) });
  const asked = page.stopped ? page.url : undefined;
  if (asked) page = await browser.open(asked, { stopAt: APP });
  if (asked && !page.stopped && !page.url.href.startsWith(house.issuer)) page = await login(browser, page, user, APP);
  page = await follow(browser, page, { issuer: house.issuer, visited, stopAt: APP });
  if (!page.stopped) {
    const reference = page.root.querySelector('.reference code')?.text.trim();
    const why = reference ? await house.trace(reference) : read(page);
    throw Object.assign(new Error(`the sign-in stopped at ${page.url} (${page.status}):\n${why}\n${house.log()}`), { page, why });
  }
  const tokens = await client.authorizationCodeGrant(house.client, page.url, {
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
  });
  const info = await client.fetchUserInfo(house.client, tokens.access_token, tokens.claims().sub);
  return { info, tokens, asked, visited };
}
