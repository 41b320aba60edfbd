// One broker with a SAML identity provider that nobody here wrote, several times: once for each variation of how that
// provider answers.
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DOMParser } from '@xmldom/xmldom';
import * as client from 'openid-client';
import { startBroker } from './broker.mjs';
import { Browser } from './browser.mjs';
import { discover, SCOPE } from './client.mjs';
import { freePorts } from './ports.mjs';
import { APP, APP_HOME, config, secrets } from './setup.mjs';

const run = promisify(execFile);
const NS = { metadata: 'urn:oasis:names:tc:SAML:2.0:metadata', signature: 'http://www.w3.org/2000/09/xmldsig#' };

/** A new RSA key and a certificate that it signed itself, both as PEM. */
export async function newKeys(name = 'idp') {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-keys-'));
  try {
    const [key, certificate] = [join(folder, 'key'), join(folder, 'pem')];
    await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-sha256', '-days', '30', '-subj', `/CN=${name}`, '-keyout', key, '-out', certificate]);
    return { key: await readFile(key, 'utf8'), certificate: await readFile(certificate, 'utf8') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a provider needs to know of us, out of our metadata. */
async function partner(issuer, id, variation) {
  const answer = await fetch(`${issuer}/upstream/${id}/metadata`);
  const metadata = await answer.text();
  if (!answer.ok) throw new Error(`no metadata for ${id} (${answer.status}):\n${metadata}`);
  const document = new DOMParser().parseFromString(metadata, 'text/xml');
  const first = (namespace, name, attribute) => document.getElementsByTagNameNS(namespace, name)[0]?.getAttribute(attribute);
  const certificate = new X509Certificate(Buffer.from(document.getElementsByTagNameNS(NS.signature, 'X509Certificate')[0].textContent, 'base64'));
  return {
    id, metadata, variation,
    entityId: document.documentElement.getAttribute('entityID'),
    acs: first(NS.metadata, 'AssertionConsumerService', 'Location'),
    slo: first(NS.metadata, 'SingleLogoutService', 'Location'),
    certificate: certificate.toString(),
    publicKey: certificate.publicKey.export({ type: 'spki', format: 'pem' }),
  };
}

/**
 * Starts the broker and the provider.
 *
 * @param start starts the provider: `({ port, partners, …more }) => …`
 * @param entityPath what follows the provider's address in its entity id
 * @param metadataPath where its metadata is, if that is elsewhere
 * @param variations by provider id: `toml` for the broker (and `head`, who the provider is, if not said by its metadata's
 *   address), `variation` for the provider, `encrypted` if its answers are
 */
export async function startSamlHouse({ start, entityPath, metadataPath = entityPath, variations }) {
  const [port] = await freePorts(1);
  const folder = await mkdtemp(join(tmpdir(), 'countersign-saml-'));
  const ownKey = join(folder, 'saml.key');
  await run(process.env.COUNTERSIGN_BIN, ['saml-key', ownKey]);
  const entityId = `http://localhost:${port}${entityPath}`;
  const byHand = () => `kind = "saml"
entity_id = "${entityId}"
metadata_url = "http://localhost:${port}${metadataPath}"
trust_metadata_url = true`;
  const providers = () => Object.entries(variations).map(([id, { head = byHand, toml = '' }]) => `
[[provider]]
id = "${id}"
name = "${id}"
${head({ url: `http://localhost:${port}` })}
key = "file:${ownKey}"
allow_loopback = true
provisioning = "open"
${toml}

[[provider.map]]
rule = "analysts"
group = "analysts"
when = "'analysts' in claims.groups"
`).join('\n');
  let broker;
  let idp;
  const stop = async () => {
    await idp?.stop();
    await broker?.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    broker = await startBroker({ config: config(''), providers, env: secrets });
    const partners = await Promise.all(Object.entries(variations).map(([id, { variation = {} }]) => partner(broker.issuer, id, variation)));
    const begin = (more) => start({ port, partners, ...more });
    idp = await begin();
    const house = {
      broker, issuer: broker.issuer, entityId, stop,
      get idp() { return idp; },
      partners: Object.fromEntries(partners.map((one) => [one.id, one])),
      /** The provider again, with other keys or other settings. */
      async restart(more) {
        await idp.stop();
        idp = await begin(more);
      },
      /** The provider answers one partner in another way. */
      vary: async (id, variation) => {
        const changed = partners.map((one) => (one.id === id ? { ...one, variation } : one));
        if (idp.vary) await idp.vary(changed); else await house.restart({ partners: changed });
      },
      /** What the operator is told of a refusal. */
      trace: async (reference) =>
        (await run(process.env.COUNTERSIGN_BIN, ['trace', reference, '--config', join(broker.folder, 'countersign.toml')], { env: { ...process.env, ...secrets } })).stdout,
      log: () => `--- the provider\n${idp.log?.() ?? ''}\n--- the broker\n${broker.log.join('')}`,
    };
    return house;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Sends on forms that post themselves, as a browser does with scripts; `visited` gets what was sent. */
export async function follow(browser, page, { stopAt, visited = [] } = {}) {
  let now = page;
  for (let hops = 0; hops < 10 && !now.stopped; hops += 1) {
    const form = now.root.querySelectorAll('form').find((one) => one.querySelector('[name=SAMLRequest],[name=SAMLResponse]'));
    if (!form || form.querySelector('[name=user]')) return now;
    const to = browser.formTo(now, '');
    visited.push(to);
    now = await browser.open(to.url, { method: 'POST', body: to.form.toString(), stopAt });
  }
  return now;
}

/**
 * A whole sign-in of the app by one of the providers.
 *
 * @param login signs in at the provider, from the page that it shows: `(browser, page, user) => page`
 * @returns what userinfo says, and the tokens
 * @throws where the sign-in ends on another page: `page`, and in `why` what the operator is told
 */
export async function signInBySaml(house, id, { login, user = 'ada', browser = new Browser(), parameters = {} }) {
  house.client ??= await discover(house);
  const verifier = client.randomPKCECodeVerifier();
  const [state, nonce] = [client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(house.client, {
    redirect_uri: APP, scope: SCOPE, state, nonce, ...parameters,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  });
  const stopAt = APP;
  const visited = [];
  let page = await browser.open(url, { stopAt });
  if (!page.stopped && page.root.querySelector('[name=provider]')) page = await browser.submit(page, { provider: id }, { stopAt });
  page = await follow(browser, page, { stopAt, visited });
  if (!page.stopped && !page.url.href.startsWith(house.issuer)) {
    page = await follow(browser, await login(browser, page, user), { stopAt, visited });
  }
  if (!page.stopped) {
    const reference = page.root.querySelector('.reference code')?.text.trim();
    const why = reference ? await house.trace(reference) : `${page.text}\n${house.log()}`;
    throw Object.assign(new Error(`the sign-in stopped at ${page.url} (${page.status}):\n${why}`), { page, why: reference && why });
  }
  const tokens = await client.authorizationCodeGrant(house.client, page.url, {
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
  });
  const info = await client.fetchUserInfo(house.client, tokens.access_token, tokens.claims().sub);
  return { info, tokens, visited };
}

/** Whether whoever holds this access token is still signed in. */
export async function stillSignedIn(house, { tokens }) {
  const answer = await fetch(`${house.issuer}/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  return answer.status === 200;
}

/** The person signs out at the app: the page on which the way ends. */
export async function signOutAtApp(house, { tokens }, browser) {
  const url = client.buildEndSessionUrl(house.client, { id_token_hint: tokens.id_token, post_logout_redirect_uri: APP_HOME });
  return follow(browser, await browser.open(url, { stopAt: APP_HOME }), { stopAt: APP_HOME });
}
