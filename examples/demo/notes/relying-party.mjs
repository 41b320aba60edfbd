// Everything that Notes does with OpenID Connect, by an ordinary client library: it knows the
// issuer's address, its own client id and secret, and nothing of the providers behind the broker.

import * as oidc from 'openid-client';
import { Expiring, randomId } from '../lib/web.mjs';

/** Short, and for everybody to read: the demo's alone. */
const SECRET = process.env.NOTES_CLIENT_SECRET ?? 'demo-app-secret';
const SCOPE = 'openid profile email groups roles permissions offline_access';
const SIGN_IN_SECONDS = 900;
const SESSION_SECONDS = 12 * 3600;
/** An access token this close to its end is refreshed before it is used. */
const REFRESH_AHEAD_SECONDS = 10;

/** A sign-in that did not work out: `code` is for the error page. */
export class SignInFailed extends Error {
  constructor(code, { description, returnTo = '/', cause } = {}) {
    super(`sign-in failed: ${code}`, { cause });
    Object.assign(this, { code, description, returnTo });
  }
}

const names = (claim) => (Array.isArray(claim) ? claim.filter((name) => typeof name === 'string') : []);

export class RelyingParty {
  #configuration;
  #underWay = new Expiring(SIGN_IN_SECONDS);
  #sessions = new Expiring(SESSION_SECONDS);

  constructor({ brokerUrl, publicUrl }) {
    this.issuer = brokerUrl;
    this.redirectUri = `${publicUrl}/callback`;
    this.home = `${publicUrl}/`;
  }

  /** Asks the issuer for its metadata, until it has answered once. */
  async #ready(returnTo) {
    if (this.#configuration) return this.#configuration;
    const plain = new URL(this.issuer).protocol === 'http:';
    try {
      this.#configuration = await oidc.discovery(
        new URL(this.issuer),
        'demo-app',
        undefined,
        oidc.ClientSecretBasic(SECRET),
        // Plain http is for the demo on loopback only.
        { timeout: 10, execute: plain ? [oidc.allowInsecureRequests] : [] },
      );
    } catch (cause) {
      throw new SignInFailed('issuer_unreachable', { returnTo, cause });
    }
    return this.#configuration;
  }

  /** Keeps trying in the background, so that the order in which things start does not matter. */
  async waitForIssuer() {
    for (let wait = 100; ; wait = Math.min(wait * 2, 5000)) {
      try {
        await this.#ready('/');
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, wait).unref());
      }
    }
  }

  /** The address that the browser is sent to; `browser` is the id in this browser's cookie. */
  async begin(browser, returnTo) {
    const configuration = await this.#ready(returnTo);
    const verifier = oidc.randomPKCECodeVerifier();
    const pending = { browser, returnTo, verifier, nonce: oidc.randomNonce() };
    const state = this.#underWay.add(pending);
    return oidc.buildAuthorizationUrl(configuration, {
      redirect_uri: this.redirectUri,
      scope: SCOPE,
      state,
      nonce: pending.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
  }

  /** Swaps the code for tokens; answers with a new session's id and the page that was wanted. */
  async finish(browser, callbackUrl) {
    const state = callbackUrl.searchParams.get('state') ?? '';
    const pending = this.#underWay.get(state);
    if (!pending || pending.browser !== browser) throw new SignInFailed('unknown_sign_in');
    this.#underWay.delete(state);
    const { returnTo } = pending;
    const configuration = await this.#ready(returnTo);
    let tokens;
    try {
      tokens = await oidc.authorizationCodeGrant(configuration, callbackUrl, {
        expectedState: state,
        expectedNonce: pending.nonce,
        pkceCodeVerifier: pending.verifier,
        idTokenExpected: true,
      });
    } catch (cause) {
      const code = cause instanceof oidc.AuthorizationResponseError ? cause.error : 'invalid_response';
      throw new SignInFailed(code, { returnTo, cause, description: cause.error_description ?? cause.message });
    }
    const session = { csrf: randomId(), idToken: tokens.id_token, sub: tokens.claims().sub };
    RelyingParty.#keep(session, tokens);
    return { id: this.#sessions.add(session), returnTo };
  }

  static #keep(session, tokens) {
    session.accessToken = tokens.access_token;
    session.refreshToken = tokens.refresh_token ?? session.refreshToken;
    session.idToken = tokens.id_token ?? session.idToken;
    session.until = Date.now() + (tokens.expiresIn() ?? 0) * 1000;
  }

  session(id) {
    return this.#sessions.get(id ?? '');
  }

  forget(id) {
    this.#sessions.delete(id ?? '');
  }

  /** One refresh at a time: a refresh token that is used twice counts as stolen. */
  async #refresh(configuration, session) {
    session.refreshing ??= oidc
      .refreshTokenGrant(configuration, session.refreshToken)
      .then((tokens) => RelyingParty.#keep(session, tokens))
      .finally(() => { session.refreshing = undefined; });
    await session.refreshing;
  }

  /**
   * Who this is right now, asked of the issuer, so that a role that was given or taken shows on
   * the next page. Undefined when the issuer no longer vouches for the session.
   */
  async whoIs(session, returnTo) {
    const configuration = await this.#ready(returnTo);
    const ask = () => oidc.fetchUserInfo(configuration, session.accessToken, session.sub);
    try {
      if (Date.now() > session.until - REFRESH_AHEAD_SECONDS * 1000) {
        await this.#refresh(configuration, session);
      }
      const claims = await ask();
      const { groups, roles, permissions, ...profile } = claims;
      return {
        ...profile, groups: names(groups), roles: names(roles), permissions: names(permissions),
      };
    } catch (cause) {
      const refused =
        cause instanceof oidc.ResponseBodyError || cause instanceof oidc.WWWAuthenticateChallengeError;
      if (refused) return undefined;
      throw new SignInFailed('issuer_unreachable', { returnTo, cause });
    }
  }

  /** Where to go to sign out at the issuer too (OpenID Connect RP-Initiated Logout 1.0). */
  async endSessionUrl(session, state) {
    const configuration = await this.#ready('/');
    return oidc.buildEndSessionUrl(configuration, {
      id_token_hint: session.idToken,
      post_logout_redirect_uri: this.home,
      state,
    });
  }
}
