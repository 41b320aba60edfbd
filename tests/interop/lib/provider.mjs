// panva's oidc-provider, unmodified, as the upstream: certified software that nobody here wrote.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const PEOPLE = {
  ada: { email: 'ada@upstream.example', email_verified: true, name: 'Ada Lovelace', given_name: 'Ada', family_name: 'Lovelace', groups: ['analysts'] },
  grace: { email: 'grace@upstream.example', email_verified: true, name: 'Grace Hopper', groups: [] },
};

/** Starts the provider for one client, `countersign`, with the given client metadata on top. */
export async function startProvider({ port, redirectUri, client = {}, configuration = {} }) {
  const issuer = `http://localhost:${port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'countersign', client_secret: 'upstream-secret-of-the-test', redirect_uris: [redirectUri], response_types: ['code'], grant_types: ['authorization_code', 'refresh_token'], ...client }],
    cookies: { keys: ['only for tests'], long: { sameSite: 'lax' }, short: { sameSite: 'lax' } },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'given_name', 'family_name'], groups: ['groups'] },
    scopes: ['openid', 'offline_access'],
    conformIdTokenClaims: true,
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    async findAccount(_, id) {
      return PEOPLE[id] && { accountId: id, claims: async () => ({ sub: id, ...PEOPLE[id] }) };
    },
    ...configuration,
  });
  const errors = [];
  provider.on('server_error', (_, error) => errors.push(error));
  const server = createServer(provider.callback());
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { issuer, errors, stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}

/** Walks the provider's own login and consent pages; answers the page (or stop) after them. */
export async function signInAtProvider(browser, page, login, { stopAt } = {}) {
  let now = page;
  for (let step = 0; step < 4 && !now.stopped && /\/interaction\//.test(now.url.pathname); step += 1) {
    now = now.root.querySelector('input[name=login]')
      ? await browser.submit(now, { login, password: 'any' }, { stopAt })
      : await browser.submit(now, { prompt: 'consent' }, { stopAt });
  }
  return now;
}
