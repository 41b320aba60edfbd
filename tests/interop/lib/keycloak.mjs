// Keycloak, unmodified, as a SAML identity provider: one process, and a realm for each start. `keycloak-oidc.mjs` has it
// as a provider of OpenID Connect.
import { spawn } from 'node:child_process';

const SECONDS_TO_START = 400;
const REALM = 'interop';
const ADMIN = { username: 'admin', password: 'only for this one test run' };
const plain = (pem) => pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');

let running;

/** The one process: it takes too long to start for more. */
export async function server(port) {
  if (running) return running;
  const url = `http://localhost:${port}`;
  const child = spawn(`${process.env.COUNTERSIGN_KEYCLOAK}/bin/kc.sh`, [
    'start-dev', '--db=dev-mem', '--http-host=127.0.0.1', `--http-port=${port}`, `--hostname=${url}`,
  ], {
    env: {
      ...process.env, KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username, KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password, JAVA_OPTS_APPEND: '-Xmx512m',
    },
    // The script starts Java as a child of its own.
    stdio: ['ignore', 'pipe', 'pipe'], detached: true,
  });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(String(chunk)));
  let exited;
  const gone = new Promise((resolve) => child.once('exit', (code, signal) => { exited = code ?? signal; resolve(); }));
  child.once('error', (error) => { exited = error.message; });
  const stop = async () => {
    if (exited === undefined) process.kill(-child.pid, 'SIGTERM');
    await gone;
    running = undefined;
  };
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(`${url}/realms/master`).catch(() => undefined);
    if (answer?.ok) break;
    if (exited !== undefined || tries > SECONDS_TO_START * 2) {
      if (exited === undefined) await stop();
      throw new Error(`Keycloak did not start (${exited ?? 'no answer'}):\n${said.join('')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  running = { url, stop, log: () => said.slice(-100).join('') };
  return running;
}

export const stopKeycloak = () => running?.stop();

/** One call of the administration's API. */
export async function administer(url, path, method = 'GET', body) {
  const token = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
    method: 'POST', body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...ADMIN }),
  });
  const { access_token: bearer } = await token.json();
  const answer = await fetch(`${url}/admin/realms${path}`, {
    method, body: body && JSON.stringify(body), headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`Keycloak answered ${answer.status} to ${method} ${path}: ${text}`);
  return text ? JSON.parse(text) : undefined;
}

const attribute = (name, property, long) => ({
  name, protocol: 'saml', protocolMapper: 'saml-user-property-mapper',
  config: { 'user.attribute': property, 'attribute.name': long, 'attribute.nameformat': 'URI Reference', 'friendly.name': name },
});

/** The broker as one of Keycloak's clients. */
const client = ({ entityId, acs, slo, certificate, variation }) => ({
  clientId: entityId, protocol: 'saml', enabled: true, redirectUris: [acs], frontchannelLogout: true,
  attributes: {
    'saml.authnstatement': 'true', 'saml.force.post.binding': 'false', 'saml.signature.algorithm': 'RSA_SHA256',
    'saml_name_id_format': 'username', 'saml_force_name_id_format': 'true',
    'saml.client.signature': 'true', 'saml.signing.certificate': plain(certificate), 'saml.encryption.certificate': plain(certificate),
    'saml_assertion_consumer_url_post': acs,
    ...(slo ? { 'saml_single_logout_service_url_redirect': slo, 'saml_single_logout_service_url_post': slo } : {}),
    ...variation,
  },
  // As Keycloak's own predefined ones: X500 email, X500 givenName, X500 surname, and a group list.
  protocolMappers: [
    attribute('email', 'email', 'urn:oid:1.2.840.113549.1.9.1'),
    attribute('givenName', 'firstName', 'urn:oid:2.5.4.42'),
    attribute('surname', 'lastName', 'urn:oid:2.5.4.4'),
    {
      name: 'groups', protocol: 'saml', protocolMapper: 'saml-group-membership-mapper',
      config: { 'attribute.name': 'member', 'attribute.nameformat': 'Basic', single: 'true', 'full.path': 'false' },
    },
  ],
});

const keyProvider = (name, { key, certificate }, priority) => ({
  name, providerId: 'rsa', config: { privateKey: [key], certificate: [certificate], priority: [String(priority)], enabled: ['true'], active: ['true'], algorithm: ['RS256'] },
});

/**
 * A realm of its own.
 *
 * @param people by login: `firstName`, `lastName`, `email`, `groups`
 * @param partners what `lib/saml.mjs` knows of the broker; their `variation` is attributes of a SAML client of Keycloak's
 * @param keys `key` and `certificate` as PEM; `old`, the same, is published still
 */
export async function startKeycloak({ port, keys, people, partners }) {
  const { url, log } = await server(port);
  const groups = [...new Set(Object.values(people).flatMap((one) => one.groups))];
  await administer(url, '', 'POST', {
    realm: REALM, enabled: true, groups: groups.map((name) => ({ name })),
    users: Object.entries(people).map(([username, person]) => ({
      username, enabled: true, emailVerified: true, ...person, credentials: [{ type: 'password', value: 'any', temporary: false }],
    })),
    clients: partners.map(client),
    components: {
      'org.keycloak.keys.KeyProvider': [keyProvider('current', keys, 200), ...(keys.old ? [keyProvider('old', keys.old, 100)] : [])],
    },
  });
  const entityId = `${url}/realms/${REALM}`;
  return {
    url, entityId, log,
    /** Whether ada has a session there, in whatever browser. */
    async who() {
      const [{ id }] = await administer(url, `/${REALM}/users?username=ada&exact=true`);
      return (await administer(url, `/${REALM}/users/${id}/sessions`)).length > 0 ? 'ada' : 'nobody';
    },
    /** The realm's own page for it, and the button on it. */
    async signOut(browser) {
      const page = await browser.open(`${entityId}/protocol/openid-connect/logout`);
      return browser.submit(page, { confirmLogout: 'Logout' });
    },
    stop: () => administer(url, `/${REALM}`, 'DELETE'),
  };
}
