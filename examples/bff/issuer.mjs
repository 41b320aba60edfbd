// All of this app's OpenID Connect, on the server: the browser never sees a token.

import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as oidc from 'openid-client';

const SCOPE = 'openid profile permissions offline_access';
/** An access token this close to its end is refreshed before it is used. */
const REFRESH_AHEAD_SECONDS = 30;
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** The issuer no longer vouches for this session, or never did; `code` is OAuth's. */
export class Refused extends Error {
  constructor(code, cause) {
    super(`refused: ${code}`, { cause });
    this.code = code;
  }
}

export class Issuer {
  #configuration;
  #keys;
  #seenLogouts = new Map();

  /** @param resource the resource identifier of the API, which access tokens shall be for (RFC 8707) */
  constructor({ issuer, clientId, clientSecret, publicUrl, resource }) {
    Object.assign(this, { issuer, clientId, resource });
    this.redirectUri = `${publicUrl}/bff/callback`;
    this.home = `${publicUrl}/`;
    this.authentication = oidc.ClientSecretBasic(clientSecret);
  }

  /** Asks the issuer for its metadata, until it has answered once. */
  async #ready() {
    if (!this.#configuration) {
      // Plain http is for loopback only; the server's start has checked that.
      const execute = this.issuer.startsWith('http:') ? [oidc.allowInsecureRequests] : [];
      this.#configuration = await oidc.discovery(
        new URL(this.issuer), this.clientId, undefined, this.authentication, { execute, timeout: 10 },
      );
      this.#keys = createRemoteJWKSet(new URL(this.#configuration.serverMetadata().jwks_uri));
    }
    return this.#configuration;
  }

  /** Begins a sign-in: where the browser goes, and what must be remembered until it is back. */
  async begin() {
    const configuration = await this.#ready();
    const pending = { verifier: oidc.randomPKCECodeVerifier(), state: oidc.randomState(), nonce: oidc.randomNonce() };
    const location = oidc.buildAuthorizationUrl(configuration, {
      redirect_uri: this.redirectUri, scope: SCOPE, state: pending.state, nonce: pending.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(pending.verifier), code_challenge_method: 'S256',
      resource: this.resource,
    });
    return { location, pending };
  }

  /** Ends a sign-in: a new session's content. */
  async finish(pending, callbackUrl) {
    const configuration = await this.#ready();
    try {
      const tokens = await oidc.authorizationCodeGrant(configuration, callbackUrl, {
        pkceCodeVerifier: pending.verifier, expectedState: pending.state, expectedNonce: pending.nonce,
        idTokenExpected: true,
      }, { resource: this.resource });
      const { sub, sid } = tokens.claims();
      const session = { sub, sid };
      Issuer.#keep(session, tokens);
      await this.#look(configuration, session);
      return session;
    } catch (error) {
      throw Issuer.#refusal(error);
    }
  }

  static #refusal(error) {
    if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError) {
      return new Refused(error.error, error);
    }
    if (error instanceof oidc.WWWAuthenticateChallengeError) return new Refused('invalid_token', error);
    if (error instanceof oidc.ClientError && error.code === 'OAUTH_INVALID_RESPONSE') return new Refused('invalid_response', error);
    return error;
  }

  static #keep(session, tokens) {
    session.accessToken = tokens.access_token;
    session.refreshToken = tokens.refresh_token ?? session.refreshToken;
    session.idToken = tokens.id_token ?? session.idToken;
    session.until = Date.now() + (tokens.expiresIn() ?? 0) * 1000;
  }

  /** What the page may know of the person. */
  async #look(configuration, session) {
    const { name, permissions } = await oidc.fetchUserInfo(configuration, session.accessToken, session.sub);
    session.person = { name: name ?? session.sub, permissions: permissions ?? [] };
  }

  /**
   * A live access token, refreshed if it must be. One refresh at a time: a refresh token that is used twice counts as
   * stolen, and ends the session.
   */
  async accessToken(session, { fresh = false } = {}) {
    if (!fresh && Date.now() < session.until - REFRESH_AHEAD_SECONDS * 1000) return session.accessToken;
    const configuration = await this.#ready();
    session.refreshing ??= oidc
      .refreshTokenGrant(configuration, session.refreshToken, { resource: this.resource })
      .then(async (tokens) => {
        Issuer.#keep(session, tokens);
        await this.#look(configuration, session);
      })
      .finally(() => { session.refreshing = undefined; });
    try {
      await session.refreshing;
    } catch (error) {
      throw Issuer.#refusal(error);
    }
    return session.accessToken;
  }

  /** Where to go to sign out at the issuer too (OpenID Connect RP-Initiated Logout 1.0). */
  async endSession(session) {
    const configuration = await this.#ready();
    return oidc.buildEndSessionUrl(configuration, {
      id_token_hint: session.idToken, post_logout_redirect_uri: this.home,
    });
  }

  /**
   * Checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), and answers whose sessions end.
   *
   * @throws when the token is not one of the issuer's for us, or was here before
   */
  async loggedOut(token) {
    await this.#ready();
    const { payload } = await jwtVerify(token, this.#keys, {
      issuer: this.issuer, audience: this.clientId, typ: 'logout+jwt', maxTokenAge: '5 minutes', clockTolerance: 30,
      algorithms: ['RS256', 'ES256', 'EdDSA'], requiredClaims: ['iat', 'exp', 'jti', 'events'],
    });
    if (typeof (payload.events?.[LOGOUT_EVENT] ?? undefined) !== 'object') throw new Error('not a logout event');
    if ('nonce' in payload) throw new Error('an ID token, or something that could be taken for one');
    if (typeof payload.sid !== 'string' && typeof payload.sub !== 'string') throw new Error('neither sid nor sub');
    this.#once(payload.jti, payload.exp);
    return { sid: payload.sid, sub: payload.sub };
  }

  /** Remembers ids of logout tokens until those end anyway. */
  #once(jti, exp) {
    const now = Date.now() / 1000;
    for (const [id, until] of this.#seenLogouts) if (until < now) this.#seenLogouts.delete(id);
    if (this.#seenLogouts.has(jti)) throw new Error('this logout token was here before');
    // As many in five minutes are no sign-outs of people.
    if (this.#seenLogouts.size > 100_000) throw new Error('too many logout tokens at once');
    this.#seenLogouts.set(jti, exp + 60);
  }
}
