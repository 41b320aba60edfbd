// openid-client, set up as an app has it, and its code flow in one call.
import * as client from 'openid-client';
import { APP, secrets, signIn } from './setup.mjs';

export const SCOPE = 'openid profile email offline_access groups roles permissions';

/** The library's configuration for one of the house's clients, with every check that it has. */
export async function discover(house, id = 'app', authentication = client.ClientSecretBasic(secrets.APP_SECRET), metadata) {
  const config = await client.discovery(new URL(house.issuer), id, metadata, authentication, { execute: [client.allowInsecureRequests] });
  client.enableNonRepudiationChecks(config);
  return config;
}

/**
 * One sign-in from the app's request to its tokens.
 *
 * @param begin makes the address from the parameters: plain, pushed or signed
 * @param checks more of what the library is to check
 */
export async function codeFlow(config, {
  redirectUri = APP, scope = SCOPE, browser, login, parameters = {}, consent,
  begin = client.buildAuthorizationUrl, checks = {},
} = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const url = await begin(config, {
    redirect_uri: redirectUri, scope, state, nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  });
  const callback = await signIn(url, { browser, login, stopAt: redirectUri, consent });
  return client.authorizationCodeGrant(config, callback, {
    pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true, ...checks,
  });
}
