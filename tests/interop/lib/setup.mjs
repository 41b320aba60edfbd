// One broker with one upstream (panva's oidc-provider), and the clients that the tests sign in with.
import { Browser } from './browser.mjs';
import { freePorts } from './ports.mjs';
import { signInAtProvider, startProvider } from './provider.mjs';
import { startBroker } from './broker.mjs';

export const APP = 'http://127.0.0.1:18999/callback';
export const APP_HOME = 'http://127.0.0.1:18999/';
export const secrets = {
  APP_SECRET: 'app-secret-only-for-the-tests-0123456789',
  SERVICE_SECRET: 'service-secret-only-for-the-tests-0123456789',
  API_SECRET: 'api-secret-only-for-the-tests-0123456789',
  UPSTREAM_SECRET: 'upstream-secret-of-the-test',
};

export const config = (more) => ({ issuer, port, management }) => `
issuer = "${issuer}"
development = true
master_key = "file:master.key"

[public]
listen = ["127.0.0.1:${port}"]

[management]
listen = "127.0.0.1:${management}"

[database]
url = "sqlite:countersign.sqlite3"

[limits]
rate_limit = false

[[client]]
id = "app"
name = "Interop App"
secret = "env:APP_SECRET"
auth_methods = ["client_secret_basic", "client_secret_post"]
redirect_uris = ["${APP}"]
post_logout_redirect_uris = ["${APP_HOME}"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "groups", "roles", "permissions"]
first_party = true

[[client]]
id = "native"
name = "Interop Native App"
public = true
redirect_uris = ["http://127.0.0.1/callback"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access"]
id_token_alg = "ES256"
access_token_alg = "EdDSA"

[[client]]
id = "service"
name = "Interop Service"
secret = "env:SERVICE_SECRET"
auth_methods = ["client_secret_basic"]
grant_types = ["client_credentials"]
scopes = ["roles", "permissions"]
roles = ["reader"]

[[resource_server]]
id = "api"
name = "Interop API"
secret = "env:API_SECRET"
resource = "urn:interop:api"
default_audience = true

[groups.analysts]
roles = ["reader"]

[roles.reader]
permissions = ["reports:read"]
${more}
`;

const providers = (upstream, extra) => () => `
[[provider]]
id = "panva"
kind = "oidc"
name = "Panva"
issuer = "${upstream}"
client_id = "countersign"
client_secret = "env:UPSTREAM_SECRET"
scopes = ["openid", "email", "profile", "groups"]
allow_loopback = true
authoritative_for = ["upstream.example"]
provisioning = "open"
${extra}

[[provider.map]]
rule = "analysts"
group = "analysts"
when = "'analysts' in claims.groups"
`;

/**
 * Starts both.
 *
 * @param provider passed on to the upstream
 * @param providerToml added to the upstream's table in `providers.toml`
 * @param more added at the end of `countersign.toml`
 * @param env more secrets for the broker
 */
export async function start({ provider = {}, providerToml = 'userinfo = "always"', more = '', env = {} } = {}) {
  const [upstreamPort] = await freePorts(1);
  const upstreamIssuer = `http://localhost:${upstreamPort}`;
  const broker = await startBroker({
    config: config(more), providers: providers(upstreamIssuer, providerToml), env: { ...secrets, ...env },
  });
  const upstream = await startProvider({ port: upstreamPort, redirectUri: `${broker.issuer}/upstream/panva/callback`, ...provider });
  return {
    broker, upstream, issuer: broker.issuer,
    async stop() { await broker.stop(); await upstream.stop(); },
  };
}

/**
 * Signs in as `login`, and answers the address at which the app's callback would have been opened; `byForm` means that
 * the answer comes as a form that posts itself, whose address and fields are answered.
 */
export async function signIn(authorizationUrl, { login = 'ada', browser = new Browser(), stopAt = APP, consent, byForm = false } = {}) {
  let page = await browser.open(authorizationUrl, { stopAt });
  const arrived = () => page.stopped || (byForm && browser.formTo(page, stopAt));
  if (!arrived() && page.root.querySelector('[name=provider]')) {
    page = await browser.submit(page, { provider: 'panva' }, { stopAt });
  }
  if (!arrived()) page = await signInAtProvider(browser, page, login, { stopAt });
  if (!arrived() && consent) page = await browser.submit(page, { decision: consent }, { stopAt });
  if (!arrived() || (byForm && page.stopped)) throw new Error(`the sign-in stopped at ${page.url} (${page.status}):\n${page.text?.slice(0, 3000)}`);
  return byForm ? browser.formTo(page, stopAt) : page.url;
}
