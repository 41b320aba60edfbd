// Friendbook: a stand-in for a social network with plain OAuth 2.0 and a Graph API in the shape
// of Facebook's: no ID token, no discovery, errors of its own form, and `#_=_` on redirects.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import {
  bearer, Expiring, json, main, parameters, randomId, redirect, Stop, withParameters,
} from '../lib/web.mjs';
import * as pages from './pages.mjs';
import { PEOPLE } from './people.mjs';

const REQUEST_SECONDS = 600;
const CODE_SECONDS = 60;
const TOKEN_SECONDS = 60 * 24 * 3600;
const PERMISSIONS = ['public_profile', 'email'];
const FIELDS = ['id', 'name', 'email', 'first_name', 'last_name'];

const sha256 = (text) => createHash('sha256').update(text).digest();
const sameText = (left, right) => timingSafeEqual(sha256(left), sha256(right));

/** An error in the Graph API's form. */
function graphError(message, { code, type = 'OAuthException', status = 400 }) {
  const headers =
    code === 190
      ? { 'www-authenticate': `OAuth "Friendbook Platform" "invalid_token" "${message}"` }
      : {};
  throw new Stop(
    json({ error: { message, type, code, fbtrace_id: randomId(8) } }, { status, headers }),
  );
}

export async function friendbook({ brokerUrl, now = Date.now }) {
  const apps = new Map([
    ['countersign', {
      name: 'Countersign',
      secret: 'friendbook-demo-secret',
      redirectUris: [`${brokerUrl}/upstream/friendbook/callback`],
    }],
  ]);
  const requests = new Expiring(REQUEST_SECONDS, { now });
  const codes = new Expiring(CODE_SECONDS, { now });
  const tokens = new Expiring(TOKEN_SECONDS, { now });

  const back = (query, answer) =>
    redirect(`${withParameters(query.redirect_uri, { ...answer, state: query.state })}#_=_`);

  async function dialog({ url }) {
    const { values: query, twice } = parameters(url.searchParams);
    if (twice.length > 0) throw new Stop(pages.refusal(`${twice[0]} was sent twice.`));
    const app = apps.get(query.client_id ?? '');
    if (!app) throw new Stop(pages.refusal('Invalid app ID: there is no app with this client_id.'));
    if (!app.redirectUris.includes(query.redirect_uri)) {
      throw new Stop(pages.refusal('URL blocked: this redirect_uri is not registered for the app.'));
    }
    if ((query.response_type ?? 'code') !== 'code') {
      return back(query, { error: 'unsupported_response_type' });
    }
    if ('code_challenge' in query && (query.code_challenge_method ?? 'plain') !== 'S256') {
      return back(query, { error: 'invalid_request', error_description: 'only S256 is supported' });
    }
    const scopes = (query.scope ?? 'public_profile').split(/[ ,]+/).filter(Boolean);
    const unknown = scopes.find((scope) => !PERMISSIONS.includes(scope));
    if (unknown) throw new Stop(pages.refusal(`Invalid scope: ${unknown}.`));
    return pages.picker({
      request: requests.add({ query, scopes }),
      people: PEOPLE,
      client: app.name,
      asksEmail: scopes.includes('email'),
    });
  }

  async function choose({ form }) {
    const { values } = parameters(form);
    const pending = requests.get(values.request ?? '');
    if (!pending) throw new Stop(pages.refusal('This page is too old.'));
    if (values.action === 'cancel') {
      return back(pending.query, {
        error: 'access_denied',
        error_code: '200',
        error_description: 'Permissions error',
        error_reason: 'user_denied',
      });
    }
    const person = PEOPLE.find(({ username }) => username === values.user);
    if (!person) throw new Stop(pages.refusal('Friendbook does not know this person.'));
    return back(pending.query, { code: codes.add({ ...pending, person }) });
  }

  /** Facebook takes the secret as a parameter; OAuth libraries may send it as Basic. */
  function authenticateApp(request, values) {
    let { client_id: id, client_secret: secret } = values;
    const basic = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (basic) {
      [id, secret] = Buffer.from(basic, 'base64').toString('utf8').split(/:(.*)/s)
        .map((part) => new URLSearchParams(`x=${part}`).get('x'));
    }
    const app = apps.get(id ?? '');
    if (!app) graphError('Error validating application. Invalid application ID.', { code: 101 });
    if (!sameText(app.secret, secret ?? '')) {
      graphError('Error validating client secret.', { code: 1 });
    }
    return id;
  }

  async function accessToken({ request, form }) {
    const { values } = parameters(form);
    const appId = authenticateApp(request, values);
    const grant = codes.take(values.code ?? '');
    if (!grant || grant.query.client_id !== appId) {
      graphError('This authorization code has been used, or never existed.', { code: 100 });
    }
    if (grant.query.redirect_uri !== values.redirect_uri) {
      graphError(
        'Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request',
        { code: 100 },
      );
    }
    const challenge = grant.query.code_challenge;
    if (challenge !== undefined) {
      const proof = sha256(values.code_verifier ?? '').toString('base64url');
      if (!sameText(challenge, proof)) graphError('Invalid code_verifier.', { code: 100 });
    }
    const token = tokens.add({ person: grant.person, scopes: grant.scopes, appId });
    return json({ access_token: token, token_type: 'bearer', expires_in: TOKEN_SECONDS });
  }

  async function me({ request, url }) {
    const { values } = parameters(url.searchParams);
    const token = bearer(request) ?? values.access_token;
    if (!token) {
      graphError('An active access token must be used to query information about the current user.', {
        code: 2500,
      });
    }
    const found = tokens.get(token);
    if (!found) graphError('Invalid OAuth access token.', { code: 190, status: 401 });
    if (values.appsecret_proof !== undefined) {
      const secret = apps.get(found.appId).secret;
      const proof = createHmac('sha256', secret).update(token).digest('hex');
      if (!sameText(proof, values.appsecret_proof)) {
        graphError('Invalid appsecret_proof provided in the API argument', {
          code: 100, type: 'GraphMethodException',
        });
      }
    }
    const fields = (values.fields ?? 'id,name').split(',').filter(Boolean);
    const unknown = fields.find((field) => !FIELDS.includes(field));
    if (unknown) {
      graphError(`(#100) Tried accessing nonexisting field (${unknown}) on node type (User)`, { code: 100 });
    }
    // A field that the person does not have, or did not permit, is simply absent.
    const permitted = (field) => field !== 'email' || found.scopes.includes('email');
    const answer = Object.fromEntries(
      [...new Set([...fields, 'id'])]
        .filter((field) => permitted(field) && found.person[field] !== undefined)
        .map((field) => [field, found.person[field]]),
    );
    return json(answer, { headers: { 'content-type': 'application/json; charset=UTF-8' } });
  }

  return {
    'GET /': async () => pages.home(),
    'GET /dialog/oauth': dialog,
    'POST /choose': choose,
    'POST /oauth/access_token': accessToken,
    'GET /me': me,
  };
}

await main(import.meta.url, 'Friendbook', friendbook, { port: 8082 });
