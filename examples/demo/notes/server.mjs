// Notes: an example app that signs people in through the broker.

import { cookie, main, parameters, randomId, redirect, Stop } from '../lib/web.mjs';
import * as pages from './pages.mjs';
import { RelyingParty, SignInFailed } from './relying-party.mjs';
import { NoteStore } from './store.mjs';

const SESSION = 'notes_session';
const BROWSER = 'notes_browser';
const SIGNING_OUT = 'notes_signing_out';
const WRITE = 'notes:write';

/** Only a path of ours: never an address elsewhere, however it is spelled. */
export function ownPath(text) {
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text ?? '') ? text : '/';
}

export async function notes({ publicUrl, brokerUrl, dataDir, tls }) {
  const relyingParty = new RelyingParty({ brokerUrl, publicUrl });
  const store = new NoteStore(dataDir);
  const secure = tls !== undefined;
  const setCookie = (name, value, maxAge) => cookie(name, value, { secure, maxAge });
  relyingParty.waitForIssuer();

  const toSignIn = (path) => redirect(`/sign-in?return_to=${encodeURIComponent(path)}`);

  /** The session and who it is; without one, the browser goes to sign in and comes back here. */
  async function signedIn(cookies, path) {
    const session = relyingParty.session(cookies[SESSION]);
    const person = session && (await relyingParty.whoIs(session, path));
    if (!person) {
      relyingParty.forget(cookies[SESSION]);
      throw new Stop(toSignIn(path));
    }
    return { session, person, mayWrite: person.permissions.includes(WRITE) };
  }

  async function home({ cookies, url }) {
    if (!relyingParty.session(cookies[SESSION])) {
      const signedOut = cookies[SIGNING_OUT] && url.searchParams.get('state') === cookies[SIGNING_OUT];
      return pages.welcome({ issuer: brokerUrl, signedOut });
    }
    return pages.list({ ...(await signedIn(cookies, '/')), notes: store.all() });
  }

  async function single({ cookies, url, params }) {
    const { session, person } = await signedIn(cookies, url.pathname);
    const note = store.get(params.id);
    if (note) return pages.single({ session, person, note });
    return pages.notice({ session, title: 'No such note', text: 'It may never have been written.', status: 404 });
  }

  async function write({ cookies, form }) {
    const { session, person, mayWrite } = await signedIn(cookies, '/');
    const { values } = parameters(form);
    const refuse = (status, title, text) => pages.notice({ session, title, text, status });
    if (values.csrf !== session.csrf) return refuse(403, 'Not saved', 'This form is too old. Open it again.');
    if (!mayWrite) return refuse(403, 'Not saved', `Writing needs the permission ${WRITE}.`);
    const text = (values.text ?? '').trim();
    if (text === '' || text.length > 500) {
      return refuse(400, 'Not saved', 'A note has between 1 and 500 characters.');
    }
    return redirect(`/notes/${store.add(person.name ?? person.sub, text).id}`);
  }

  async function signIn({ cookies, url }) {
    const browser = cookies[BROWSER] ?? randomId();
    const location = await relyingParty.begin(browser, ownPath(url.searchParams.get('return_to')));
    return redirect(location, { headers: { 'set-cookie': setCookie(BROWSER, browser) } });
  }

  async function callback({ cookies, url }) {
    const { id, returnTo } = await relyingParty.finish(cookies[BROWSER], url);
    relyingParty.forget(cookies[SESSION]);
    const headers = { 'set-cookie': [setCookie(SESSION, id), setCookie(SIGNING_OUT, '', 0)] };
    return redirect(returnTo, { headers });
  }

  async function signOut({ cookies, form }) {
    const session = relyingParty.session(cookies[SESSION]);
    if (!session) return redirect('/');
    if (form.get('csrf') !== session.csrf) {
      return pages.notice({ session, title: 'Not signed out', text: 'This page is too old. Open it again.', status: 403 });
    }
    const state = randomId();
    relyingParty.forget(cookies[SESSION]);
    const headers = { 'set-cookie': [setCookie(SESSION, '', 0), setCookie(SIGNING_OUT, state, 600)] };
    return redirect(await relyingParty.endSessionUrl(session, state), { headers });
  }

  /** A failure of the sign-in becomes a plain page with *Try again*; anything else is a bug. */
  const withErrorPage = (handler) => async (exchange) => {
    try {
      return await handler(exchange);
    } catch (error) {
      if (!(error instanceof SignInFailed)) throw error;
      console.error(`${error.message}${error.cause ? ` (${error.cause.message})` : ''}`);
      const status = error.code === 'issuer_unreachable' ? 503 : 400;
      return pages.failed({ ...error, status });
    }
  };

  const routes = {
    'GET /': home,
    'GET /notes/:id': single,
    'POST /notes': write,
    'GET /sign-in': signIn,
    'GET /callback': callback,
    'POST /sign-out': signOut,
  };
  return Object.fromEntries(
    Object.entries(routes).map(([route, handler]) => [route, withErrorPage(handler)]),
  );
}

await main(import.meta.url, 'Notes', notes, { port: 8084 });
