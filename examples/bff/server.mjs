// Board's server: it serves the page, keeps the tokens, and passes the page's requests on to the API. Everything that
// the page asks for is below /bff; the page's cookie opens nothing but that.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import { Issuer, Refused } from './issuer.mjs';
import { Bounded } from './sessions.mjs';

const SESSION = '__Host-board-session';
const SIGN_IN = '__Host-board-sign-in';
const LEAVING = '__Host-board-leaving';
/** What our own page sends with every request. No form can, and a script of another origin has to ask us first. */
const OWN_HEADER = 'x-board';
const MAX_BODY_BYTES = 16 * 1024;
const API_SECONDS = 10;
/** What of the API the page may reach; nothing else is passed on. */
const API = new Map([['GET /bff/api/pins', '/pins'], ['POST /bff/api/pins', '/pins']]);

const file = (name, type) => ({ body: readFileSync(new URL(`public/${name}`, import.meta.url)), type });
const FILES = new Map([
  ['/', file('index.html', 'text/html; charset=utf-8')],
  ['/app.js', file('app.js', 'text/javascript; charset=utf-8')],
  ['/style.css', file('style.css', 'text/css; charset=utf-8')],
  ['/icon.svg', file('icon.svg', 'image/svg+xml')],
]);

const HEADERS = {
  // Scripts and styles from here alone, no markup from strings, requests to here alone, and no frames around us.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    + "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

class Problem extends Error {
  constructor(status, code) {
    super(code);
    Object.assign(this, { status, code });
  }
}

/**
 * A cookie that scripts cannot read, that only this very host can set (`__Host-`, RFC 6265bis §4.1.3), and that goes
 * over TLS alone; browsers count loopback as safe too.
 */
function cookie(name, value, sameSite, seconds) {
  const age = seconds === undefined ? '' : `; Max-Age=${seconds}`;
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=${sameSite}${age}`;
}

function cookies(request) {
  const found = Object.create(null);
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0) found[part.slice(0, equals).trim()] ??= part.slice(equals + 1).trim();
  }
  return found;
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Problem(413, 'too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @param settings `publicUrl`, `apiUrl`, `issuer`, `clientId`, `clientSecret`, `resource` */
export function board(settings) {
  const origin = new URL(settings.publicUrl).origin;
  const issuer = new Issuer(settings);
  const signIns = new Bounded({ idle: 600, most: 10_000 });
  const sessions = new Bounded({ idle: 30 * 60, absolute: 8 * 3600, most: 10_000 });
  const leaving = new Bounded({ idle: 60, most: 10_000 });

  /**
   * Refuses what does not come from our own page. SameSite alone would let sibling hosts in (`evil.example.com` and
   * `board.example.com` are one site), so origin and header are checked too.
   */
  function fromOwnPage(request) {
    const { origin: from, 'sec-fetch-site': site } = request.headers;
    const wrong = request.headers[OWN_HEADER] !== '1'
      || (site !== undefined && site !== 'same-origin')
      || (from !== undefined && from !== origin)
      || (request.method !== 'GET' && site === undefined && from === undefined);
    if (wrong) throw new Problem(403, 'not_from_this_page');
  }

  function sessionOf(request) {
    const session = sessions.get(cookies(request)[SESSION]);
    if (!session) throw new Problem(401, 'signed_out');
    return session;
  }

  /** Does something with the issuer for a session; ends the session if the issuer refuses. */
  async function vouched(request, action) {
    const session = sessionOf(request);
    try {
      return await action(session);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      sessions.delete(cookies(request)[SESSION]);
      throw new Problem(401, 'signed_out');
    }
  }

  const json = (value, status = 200, headers = {}) => ({ status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) });
  const redirect = (location, setCookie) => ({ status: 303, headers: { location: String(location), 'set-cookie': setCookie } });

  // --- Navigations: the browser itself comes here, so there is no header of ours ---------------------

  async function signIn() {
    const { location, pending } = await issuer.begin();
    // Lax, since the browser comes back from another site; it holds nothing but this one sign-in.
    return redirect(location, cookie(SIGN_IN, signIns.add(pending), 'Lax', 600));
  }

  async function callback(request, url) {
    const gone = cookie(SIGN_IN, '', 'Lax', 0);
    // Bound to the browser in which it began: nobody can be signed in to somebody else's account by a link.
    const pending = signIns.take(cookies(request)[SIGN_IN]);
    if (!pending) return redirect('/#again', gone);
    try {
      const session = await issuer.finish(pending, url);
      // Whoever had a session before gets a new one: a planted cookie is worth nothing.
      sessions.delete(cookies(request)[SESSION]);
      // Strict: only requests that our own page makes bring it. The page itself is the same for everybody, so it does
      // not matter that the redirect to it, which comes from another site, goes without.
      return redirect('/', [gone, cookie(SESSION, sessions.add(session), 'Strict')]);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      console.error(`a sign-in failed: ${error.code} (${error.cause?.error_description ?? error.cause?.message})`);
      return redirect(error.code === 'access_denied' ? '/#cancelled' : '/#failed', gone);
    }
  }

  async function leave(request) {
    const session = leaving.take(cookies(request)[LEAVING]);
    // The ID token travels in a redirect's address, which no script of ours can see.
    return redirect(session ? await issuer.endSession(session) : '/', cookie(LEAVING, '', 'Lax', 0));
  }

  // --- What the page asks for -------------------------------------------------------------------------

  async function who(request) {
    fromOwnPage(request);
    return vouched(request, async (session) => {
      await issuer.accessToken(session);
      return json(session.person);
    });
  }

  async function signOut(request) {
    fromOwnPage(request);
    const key = cookies(request)[SESSION];
    const session = sessions.take(key);
    const setCookie = [cookie(SESSION, '', 'Strict', 0)];
    if (session) setCookie.push(cookie(LEAVING, leaving.add(session), 'Lax', 60));
    return json({ next: '/bff/leave' }, 200, { 'set-cookie': setCookie });
  }

  async function api(request, path) {
    fromOwnPage(request);
    const sends = request.method !== 'GET';
    const body = sends ? await bodyOf(request) : undefined;
    return vouched(request, async (session) => {
      const ask = async (token) => fetch(settings.apiUrl + path, {
        method: request.method, body, redirect: 'error', signal: AbortSignal.timeout(API_SECONDS * 1000),
        headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...(sends ? { 'content-type': 'application/json' } : {}) },
      });
      let response = await ask(await issuer.accessToken(session));
      // The token ended on the way, or its key was withdrawn: once more, with a new one.
      if (response.status === 401) response = await ask(await issuer.accessToken(session, { fresh: true }));
      return json(await response.json(), response.status === 401 ? 502 : response.status);
    });
  }

  // --- What the issuer tells us -----------------------------------------------------------------------

  async function loggedOut(request) {
    const token = new URLSearchParams(String(await bodyOf(request))).get('logout_token');
    try {
      const { sid, sub } = await issuer.loggedOut(token ?? '');
      const ended = sessions.deleteWhere((session) => (sid === undefined ? session.sub === sub : session.sid === sid));
      console.log(`the issuer ended ${ended} session(s)`);
      return { status: 200, headers: {}, body: '' };
    } catch (error) {
      console.error(`a logout token was refused: ${error.message}`);
      return json({ error: 'invalid_request', error_description: 'the logout token was refused' }, 400);
    }
  }

  const routes = new Map([
    ['GET /bff/sign-in', signIn],
    ['GET /bff/callback', callback],
    ['GET /bff/leave', leave],
    ['GET /bff/who', who],
    ['POST /bff/sign-out', signOut],
    ['POST /bff/backchannel-logout', loggedOut],
    ...[...API].map(([route, path]) => [route, (request) => api(request, path)]),
  ]);

  async function answer(request) {
    const url = new URL(request.url, origin);
    const asset = request.method === 'GET' && FILES.get(url.pathname);
    if (asset) return { status: 200, headers: { 'content-type': asset.type, 'cache-control': 'no-cache' }, body: asset.body };
    const route = routes.get(`${request.method} ${url.pathname}`);
    if (!route) throw new Problem(404, 'not_found');
    return route(request, url);
  }

  const server = http.createServer(async (request, response) => {
    let reply;
    try {
      reply = await answer(request);
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      const problem = error instanceof Problem ? error : new Problem(503, 'unavailable');
      reply = json({ error: problem.code }, problem.status);
    }
    const headers = Object.entries({ ...HEADERS, 'cache-control': 'no-store', ...reply.headers }).filter(([, value]) => value !== undefined);
    response.writeHead(reply.status, Object.fromEntries(headers));
    response.end(reply.body);
  });
  const sweeping = setInterval(() => [signIns, sessions, leaving].forEach((store) => store.sweep()), 60_000).unref();
  server.once('close', () => clearInterval(sweeping));
  return server;
}
