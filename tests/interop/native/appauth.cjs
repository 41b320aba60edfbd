// A native app by AppAuth (OpenID Foundation), unmodified: it takes a free port, opens the system's browser, waits on
// loopback for the answer, and has PKCE instead of a secret. Prints what it learned.
const { createServer } = require('node:http');
const {
  AuthorizationNotifier, AuthorizationRequest, AuthorizationServiceConfiguration, BaseTokenRequestHandler,
  GRANT_TYPE_AUTHORIZATION_CODE, GRANT_TYPE_REFRESH_TOKEN, RevokeTokenRequest, TokenRequest,
} = require('@openid/appauth');
const { NodeBasedHandler, NodeCrypto, NodeRequestor } = require('@openid/appauth/built/node_support');

const [issuer, client_id, host] = process.argv.slice(2);

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, () => { const { port } = server.address(); server.close(() => resolve(port)); });
});

async function main() {
  const requestor = new NodeRequestor();
  const service = await AuthorizationServiceConfiguration.fetchFromIssuer(issuer, requestor);
  const port = await freePort();
  const redirect_uri = `http://${host}:${port}/callback`;
  const request = new AuthorizationRequest({
    client_id, redirect_uri, scope: 'openid profile offline_access', response_type: AuthorizationRequest.RESPONSE_TYPE_CODE,
    extras: { prompt: 'consent' },
  }, new NodeCrypto());
  const handler = new NodeBasedHandler(port);
  const answer = await new Promise((resolve, reject) => {
    const notifier = new AuthorizationNotifier();
    notifier.setAuthorizationListener((asked, response, error) => (error ? reject(new Error(error.error)) : resolve(response)));
    handler.setAuthorizationNotifier(notifier);
    handler.performAuthorizationRequest(service, request);
  });
  if (answer.state !== request.state) throw new Error('another state');
  const tokens = new BaseTokenRequestHandler(requestor);
  const first = await tokens.performTokenRequest(service, new TokenRequest({
    client_id, redirect_uri, grant_type: GRANT_TYPE_AUTHORIZATION_CODE, code: answer.code,
    extras: { code_verifier: request.internal.code_verifier },
  }));
  const second = await tokens.performTokenRequest(service, new TokenRequest({
    client_id, redirect_uri, grant_type: GRANT_TYPE_REFRESH_TOKEN, refresh_token: first.refreshToken,
  }));
  const ask = (token) => fetch(service.userInfoEndpoint, { headers: { authorization: `Bearer ${token}` } });
  const userinfo = await (await ask(second.accessToken)).json();
  await tokens.performRevokeTokenRequest(service, new RevokeTokenRequest({ client_id, token: second.refreshToken }));
  const after = (await ask(second.accessToken)).status;
  console.log(JSON.stringify({ redirect_uri, userinfo, rotated: first.refreshToken !== second.refreshToken, after }));
}

main().catch((error) => { console.error(error); process.exit(1); });
