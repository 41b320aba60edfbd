// Globex: a stand-in for an OpenID Connect provider, strict about what it is sent.

import { createHash, timingSafeEqual } from 'node:crypto';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import {
  bearer, cookie, Expiring, json, main, parameters, redirect, Stop, withParameters,
} from '../lib/web.mjs';
import * as pages from './pages.mjs';
import { claimsFor, PEOPLE } from './people.mjs';

const COOKIE = 'globex_session';
const SCOPES = ['openid', 'profile', 'email', 'address', 'phone', 'groups'];
/** How everybody signs in here: by picking a name from a list. */
const ACR = 'urn:globex:picked';
const REQUEST_SECONDS = 600;
const SESSION_SECONDS = 8 * 3600;
const CODE_SECONDS = 60;
const TOKEN_SECONDS = 600;

const seconds = (milliseconds) => Math.floor(milliseconds / 1000);
const sha256 = (text) => createHash('sha256').update(text).digest();

function sameText(left, right) {
  return timingSafeEqual(sha256(left), sha256(right));
}

/**
 * @param fault what is out of order: `token-error` or `token-hang`; the environment variable GLOBEX_FAULT says it
 *   where Globex runs as a program
 */
export async function globex({
  publicUrl: issuer, brokerUrl, tls, now = Date.now, fault = process.env.GLOBEX_FAULT,
}) {
  const clients = new Map([
    ['countersign', {
      name: 'Countersign',
      secret: 'globex-demo-secret',
      redirectUris: [`${brokerUrl}/upstream/globex/callback`],
      postLogoutRedirectUris: [`${brokerUrl}/upstream/globex/logout`],
    }],
  ]);
  const { publicKey, privateKey } = await generateKeyPair('RS256', { modulusLength: 2048 });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const jwks = { keys: [{ ...jwk, kid, use: 'sig', alg: 'RS256' }] };

  const requests = new Expiring(REQUEST_SECONDS, { now });
  const sessions = new Expiring(SESSION_SECONDS, { now });
  const codes = new Expiring(CODE_SECONDS, { now });
  const spentCodes = new Expiring(TOKEN_SECONDS, { now });
  const tokens = new Expiring(TOKEN_SECONDS, { now });
  const secure = tls !== undefined;

  const metadata = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/logout`,
    scopes_supported: SCOPES,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
    prompt_values_supported: ['none', 'login', 'select_account'],
    claims_supported: [
      'iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'acr', 'nonce', 'at_hash', 'name', 'given_name',
      'middle_name', 'family_name', 'nickname', 'preferred_username', 'profile', 'picture', 'website',
      'gender', 'birthdate', 'zoneinfo', 'locale', 'email', 'email_verified', 'address', 'phone_number',
      'phone_number_verified', 'groups',
    ],
    acr_values_supported: [ACR],
    claims_parameter_supported: false,
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
    authorization_response_iss_parameter_supported: true,
  };

  // --- Authorization endpoint -----------------------------------------------------------------

  /** Client and redirect URI come first: until both are known, nothing is redirected. */
  function clientOf({ values, twice }) {
    for (const name of ['client_id', 'redirect_uri']) {
      if (twice.includes(name)) throw new Stop(pages.refusal(`${name} was sent twice.`));
    }
    const client = clients.get(values.client_id ?? '');
    if (!client) throw new Stop(pages.refusal('This client_id is not registered here.'));
    if (!client.redirectUris.includes(values.redirect_uri)) {
      throw new Stop(pages.refusal('This redirect_uri is not registered for the client.'));
    }
    return client;
  }

  const back = (query, answer) =>
    redirect(withParameters(query.redirect_uri, { ...answer, state: query.state, iss: issuer }));

  function refuse(query, error, error_description) {
    throw new Stop(back(query, { error, error_description }));
  }

  function checkRequest({ values: query, twice }) {
    if (twice.length > 0) refuse(query, 'invalid_request', `${twice[0]} was sent twice`);
    if ('request' in query) refuse(query, 'request_not_supported');
    if ('request_uri' in query) refuse(query, 'request_uri_not_supported');
    if (query.response_type !== 'code') {
      refuse(query, query.response_type ? 'unsupported_response_type' : 'invalid_request');
    }
    if ((query.response_mode ?? 'query') !== 'query') {
      refuse(query, 'invalid_request', 'only response_mode=query is supported');
    }
    const scopes = (query.scope ?? '').split(' ').filter((scope) => SCOPES.includes(scope));
    if (!scopes.includes('openid')) refuse(query, 'invalid_scope', 'scope must contain openid');
    if ('code_challenge' in query || 'code_challenge_method' in query) {
      const wellFormed = /^[A-Za-z0-9_-]{43}$/.test(query.code_challenge ?? '');
      if (query.code_challenge_method !== 'S256' || !wellFormed) {
        refuse(query, 'invalid_request', 'PKCE needs a code_challenge with method S256');
      }
    }
    const prompts = (query.prompt ?? '').split(' ').filter(Boolean);
    if (prompts.includes('none') && prompts.length > 1) {
      refuse(query, 'invalid_request', 'prompt=none stands alone');
    }
    if ('max_age' in query && !/^\d{1,9}$/.test(query.max_age)) {
      refuse(query, 'invalid_request', 'max_age is a number of seconds');
    }
    return { scopes, prompts };
  }

  const findPerson = (hint) =>
    PEOPLE.find((person) => [person.username, person.email, person.sub].includes(hint));

  /** The session, if it answers this request without a question. */
  function silentSession(session, query, prompts) {
    if (!session || prompts.includes('login') || prompts.includes('select_account')) return undefined;
    if ('max_age' in query && seconds(now()) - session.authTime > Number(query.max_age)) return undefined;
    if (query.login_hint && findPerson(query.login_hint) !== session.person) return undefined;
    return session;
  }

  function issueCode({ query, scopes }, session) {
    const code = codes.add({
      query, scopes, person: session.person, authTime: session.authTime,
    });
    return back(query, { code });
  }

  async function authorize({ url, form, request, cookies }) {
    const received = parameters(request.method === 'POST' ? form : url.searchParams);
    const client = clientOf(received);
    const { scopes, prompts } = checkRequest(received);
    const query = received.values;
    const session = silentSession(sessions.get(cookies[COOKIE]), query, prompts);
    if (session) return issueCode({ query, scopes }, session);
    if (prompts.includes('none')) refuse(query, 'login_required');
    const hinted = findPerson(query.login_hint);
    const people = [...PEOPLE].sort((left, right) => (right === hinted) - (left === hinted));
    return pages.picker({ request: requests.add({ query, scopes }), people, hinted, client: client.name });
  }

  async function choose({ form, cookies }) {
    const { values } = parameters(form);
    const pending = requests.get(values.request ?? '');
    if (!pending) throw new Stop(pages.refusal('This page is too old.'));
    if (values.action === 'cancel') {
      return back(pending.query, { error: 'access_denied', error_description: 'The person cancelled' });
    }
    const person = PEOPLE.find(({ username }) => username === values.user);
    if (!person) throw new Stop(pages.refusal('Globex does not know this person.'));
    const session = { person, authTime: seconds(now()) };
    sessions.delete(cookies[COOKIE]);
    const reply = issueCode(pending, session);
    reply.headers['set-cookie'] = cookie(COOKIE, sessions.add(session), { secure });
    return reply;
  }

  // --- Token endpoint -------------------------------------------------------------------------

  function tokenError(error, error_description, status = 400) {
    const headers = status === 401 ? { 'www-authenticate': 'Basic realm="globex"' } : {};
    throw new Stop(json({ error, error_description }, { status, headers }));
  }

  /** RFC 6749 section 2.3.1: both parts are form-encoded before they become Basic credentials. */
  function authenticateClient(request) {
    const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const [id, secret] = Buffer.from(encoded ?? '', 'base64').toString('utf8').split(/:(.*)/s);
    const decode = (text) => new URLSearchParams(`x=${text ?? ''}`).get('x');
    const client = clients.get(decode(id));
    if (!client || !sameText(client.secret, decode(secret))) {
      tokenError('invalid_client', 'unknown client, or a wrong secret', 401);
    }
    return decode(id);
  }

  function takeCode(code, clientId, values) {
    const spent = spentCodes.get(code);
    if (spent) {
      // RFC 6749 section 4.1.2: a code that comes twice revokes what it gave.
      tokens.delete(spent.accessToken);
      tokenError('invalid_grant', 'this code was used already');
    }
    const grant = codes.take(code);
    if (!grant || grant.query.client_id !== clientId) tokenError('invalid_grant', 'unknown code');
    if (grant.query.redirect_uri !== values.redirect_uri) {
      tokenError('invalid_grant', 'redirect_uri differs from the one in the authorization request');
    }
    const challenge = grant.query.code_challenge;
    const proof = sha256(values.code_verifier ?? '').toString('base64url');
    if (challenge === undefined ? 'code_verifier' in values : !sameText(challenge, proof)) {
      tokenError('invalid_grant', 'code_verifier does not fit the code_challenge');
    }
    return grant;
  }

  async function token({ request, form }) {
    if (fault === 'token-hang') await new Promise(() => {});
    if (fault === 'token-error') throw new Error('out of order, as asked for');
    const { values, twice } = parameters(form);
    const clientId = authenticateClient(request);
    if (twice.length > 0) tokenError('invalid_request', `${twice[0]} was sent twice`);
    if (values.grant_type !== 'authorization_code') tokenError('unsupported_grant_type');
    const { query, scopes, person, authTime } = takeCode(values.code ?? '', clientId, values);

    const accessToken = tokens.add({ person, scopes });
    spentCodes.add({ accessToken }, values.code);
    const issuedAt = seconds(now());
    const idToken = await new SignJWT({
      ...claimsFor(person, scopes),
      auth_time: authTime,
      acr: ACR,
      nonce: query.nonce,
      at_hash: sha256(accessToken).subarray(0, 16).toString('base64url'),
    })
      .setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(person.sub)
      .setAudience(clientId)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + TOKEN_SECONDS)
      .sign(privateKey);
    return json({
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: TOKEN_SECONDS,
      scope: scopes.join(' '),
      id_token: idToken,
    });
  }

  // --- Userinfo and sign-out ------------------------------------------------------------------

  async function userinfo({ request }) {
    const found = tokens.get(bearer(request));
    if (!found) {
      const headers = { 'www-authenticate': 'Bearer realm="globex", error="invalid_token"' };
      return json({ error: 'invalid_token' }, { status: 401, headers });
    }
    return json({ sub: found.person.sub, ...claimsFor(found.person, found.scopes) });
  }

  /** The client that an expired or fresh ID token of ours names, or undefined. */
  async function clientOfHint(hint) {
    try {
      // Expired hints are welcome: OpenID Connect RP-Initiated Logout 1.0 section 2.
      const { iat } = decodeJwt(hint);
      const { payload } = await jwtVerify(hint, publicKey, {
        issuer, algorithms: ['RS256'], currentDate: new Date(iat * 1000),
      });
      return clients.get(payload.aud);
    } catch {
      return undefined;
    }
  }

  async function logout({ request, url, form, cookies }) {
    const { values } = parameters(request.method === 'POST' ? form : url.searchParams);
    const client = await clientOfHint(values.id_token_hint ?? '');
    if (request.method !== 'POST' && !client && sessions.get(cookies[COOKIE])) {
      return pages.confirmLogout();
    }
    sessions.delete(cookies[COOKIE]);
    const headers = { 'set-cookie': cookie(COOKIE, '', { secure, maxAge: 0 }) };
    if (client?.postLogoutRedirectUris.includes(values.post_logout_redirect_uri)) {
      return redirect(withParameters(values.post_logout_redirect_uri, { state: values.state }), { headers });
    }
    return pages.signedOut(headers);
  }

  return {
    'GET /': async ({ cookies }) => pages.home({ person: sessions.get(cookies[COOKIE])?.person, issuer }),
    'GET /.well-known/openid-configuration': async () => json(metadata),
    'GET /jwks': async () => json(jwks),
    'GET /authorize': authorize,
    'POST /authorize': authorize,
    'POST /choose': choose,
    'POST /token': token,
    'GET /userinfo': userinfo,
    'POST /userinfo': userinfo,
    'GET /logout': logout,
    'POST /logout': logout,
  };
}

await main(import.meta.url, 'Globex', globex, { port: 8081 });
