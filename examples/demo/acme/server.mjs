// Acme: a stand-in for a company's SAML 2.0 identity provider, strict about what it is sent. Requests come by redirect
// and signed; answers go by POST, with response and assertion signed; sign-out goes both ways, by redirect.

import { createHmac, randomBytes } from 'node:crypto';
import { cookie, Expiring, main, parameters, randomId, redirect, Stop } from '../lib/web.mjs';
import { keyPair } from './keys.mjs';
import * as pages from './pages.mjs';
import { attributesOf, PEOPLE } from './people.mjs';
import * as saml from './saml.mjs';
import { BINDING, NAME_ID, SamlError } from './saml.mjs';

const COOKIE = 'acme_session';
/** How everybody signs in here: by picking a name from a list. */
const CONTEXT = 'urn:acme:picked';
const CLIENT = 'Countersign';
const REQUEST_SECONDS = 600;
const SESSION_SECONDS = 8 * 3600;
const MESSAGE_MILLISECONDS = 300_000;
/** How far another clock may differ. */
const SKEW_MILLISECONDS = 60_000;
/** Metadata is fetched anew when it has this age, or when a signature does not fit and it has the other. */
const METADATA_MILLISECONDS = 300_000;
const METADATA_LEAST_MILLISECONDS = 2_000;

/**
 * @param fault what is out of order: `other-key` (signs with a key that its metadata does not have) or `other-audience`;
 *   the environment variable ACME_FAULT says it where Acme runs as a program
 */
export async function acme({
  publicUrl, brokerUrl, dataDir, tls, now = Date.now, fault = process.env.ACME_FAULT,
}) {
  const entityId = `${publicUrl}/metadata`;
  const [sso, slo] = [`${publicUrl}/sso`, `${publicUrl}/slo`];
  const keys = await keyPair(dataDir);
  const signing = fault === 'other-key' ? await keyPair(undefined) : keys;
  const document = saml.metadata({ entityId, sso, slo, keys });
  // The same person has another name for every service provider, and always the same one.
  const pairwise = (person, audience) =>
    createHmac('sha256', keys.key).update(JSON.stringify([person.uid, audience])).digest('hex').slice(0, 40);

  const requests = new Expiring(REQUEST_SECONDS, { now });
  const sessions = new Expiring(SESSION_SECONDS, { now });
  const byIndex = new Expiring(SESSION_SECONDS, { now });
  const seen = new Expiring(REQUEST_SECONDS, { now });
  const logouts = new Expiring(REQUEST_SECONDS, { now });
  const secure = tls !== undefined;

  // --- The service provider -------------------------------------------------------------------

  let known;

  /** The broker, by its metadata. Acme knows no other service provider. */
  async function serviceProvider(atMostOld = METADATA_MILLISECONDS) {
    if (known && now() - known.fetched <= atMostOld) return known;
    const address = `${brokerUrl}/upstream/acme/metadata`;
    try {
      const reply = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(5000) });
      if (!reply.ok) throw new SamlError(`It answered ${reply.status}.`);
      known = { ...saml.readServiceProvider(await reply.text()), fetched: now() };
    } catch (error) {
      console.error(`The metadata at ${address} cannot be used: ${error.message}`);
      if (!known) throw new Stop(pages.refusal(`The metadata of ${CLIENT} cannot be used now.`, 502));
    }
    return known;
  }

  /** The message in an address, if the broker signed it for this endpoint and lately. */
  async function received(request, endpoint, ...kinds) {
    // As it was sent: a parsed query would not be the octets that were signed.
    const rawQuery = /^[^?]*\?([^#]*)/.exec(request.url)?.[1] ?? '';
    try {
      const { message, relayState, signedBy } = await saml.readRedirect(rawQuery);
      if (!kinds.includes(message.kind)) throw new SamlError(`${message.kind} is not taken here.`);
      let provider = await serviceProvider();
      if (!signedBy(provider.certificates)) {
        provider = await serviceProvider(METADATA_LEAST_MILLISECONDS);
        if (!signedBy(provider.certificates)) throw new SamlError(`This is not signed by ${CLIENT}.`);
      }
      if (message.issuer !== provider.entityId) throw new SamlError('This service provider is not known here.');
      if (message.destination !== endpoint) throw new SamlError('This was meant for another address.');
      if (Math.abs(now() - message.issueInstant) > MESSAGE_MILLISECONDS + SKEW_MILLISECONDS) {
        throw new SamlError('This is too old.');
      }
      return { message, relayState, provider };
    } catch (error) {
      if (error instanceof SamlError) throw new Stop(pages.refusal(error.message));
      throw error;
    }
  }

  /** Where the answer goes: only to an address of the metadata. */
  function consumerOf(message, { consumers }) {
    if (message.protocolBinding !== undefined && message.protocolBinding !== BINDING.post) {
      throw new Stop(pages.refusal('Answers go by HTTP-POST only.'));
    }
    let found = consumers.find(({ isDefault }) => isDefault) ?? consumers[0];
    if (message.acsUrl !== undefined) found = consumers.find(({ location }) => location === message.acsUrl);
    if (message.acsIndex !== undefined) found = consumers.find(({ index }) => index === message.acsIndex);
    if (!found) throw new Stop(pages.refusal('This AssertionConsumerService is not registered here.'));
    return found.location;
  }

  // --- Sign-in --------------------------------------------------------------------------------

  const postBack = (pending, text, headers) => pages.post({
    action: pending.acs,
    fields: { SAMLResponse: Buffer.from(text).toString('base64'), RelayState: pending.relayState },
    client: CLIENT,
    headers,
  });

  const refuse = (pending, status, message) => postBack(pending, saml.refusal({
    issuer: entityId, request: pending.message, acs: pending.acs, status, message, keys: signing, now: now(),
  }));

  function nameFor(session, { message, provider }) {
    const format = message.nameIdFormat ?? NAME_ID.persistent;
    const names = {
      [NAME_ID.persistent]: () => pairwise(session.person, provider.entityId),
      [NAME_ID.transient]: () => randomBytes(20).toString('hex'),
      [NAME_ID.email]: () => session.person.mail,
    };
    const known = format === NAME_ID.unspecified ? NAME_ID.persistent : format;
    return names[known] && { format: known, nameId: names[known]() };
  }

  function answer(pending, session, headers) {
    const { message, provider, acs } = pending;
    const name = nameFor(session, pending);
    if (!name) return refuse(pending, ['Requester', 'InvalidNameIDPolicy'], 'This NameID format is not given here.');
    session.joined = { provider, name };
    return postBack(pending, saml.response({
      issuer: entityId, request: message, acs,
      audience: fault === 'other-audience' ? `${provider.entityId}/other` : provider.entityId,
      subject: { ...name, attributes: attributesOf(session.person) },
      session: { ...session, context: CONTEXT },
      keys: signing, now: now(), lifetime: MESSAGE_MILLISECONDS,
    }), headers);
  }

  /** Whether people who signed in here the only way that there is did so in one of these contexts. */
  const contextFits = ({ contexts, comparison }) =>
    contexts.length === 0 || (comparison !== 'better' && contexts.includes(CONTEXT));

  const findPerson = (hint) =>
    PEOPLE.find((person) => [person.username, person.mail, person.uid].includes(hint));

  async function signIn({ request, cookies }) {
    const { message, relayState, provider } = await received(request, sso, 'AuthnRequest');
    const pending = { message, relayState, provider, acs: consumerOf(message, provider) };
    if (!contextFits(message)) {
      return refuse(pending, ['Responder', 'NoAuthnContext'], 'Nobody signs in here in such a way.');
    }
    const session = sessions.get(cookies[COOKIE]);
    const hinted = findPerson(message.hint);
    if (session && !message.forceAuthn && (!hinted || hinted === session.person)) return answer(pending, session);
    if (message.isPassive) return refuse(pending, ['Responder', 'NoPassive'], 'Somebody must be asked.');
    const people = [...PEOPLE].sort((left, right) => (right === hinted) - (left === hinted));
    return pages.picker({ request: requests.add(pending), people, hinted, client: CLIENT });
  }

  function endSession(handle) {
    const session = sessions.get(handle);
    if (session) byIndex.delete(session.index);
    sessions.delete(handle);
    return session;
  }

  async function choose({ form, cookies }) {
    const { values } = parameters(form);
    const pending = requests.get(values.request ?? '');
    if (!pending) throw new Stop(pages.refusal('This page is too old.'));
    if (values.action === 'cancel') {
      return refuse(pending, ['Responder', 'AuthnFailed'], 'The person cancelled.');
    }
    const person = PEOPLE.find(({ username }) => username === values.user);
    if (!person) throw new Stop(pages.refusal('Acme does not know this person.'));
    endSession(cookies[COOKIE]);
    const session = {
      person, index: `_${randomId()}`, authInstant: now(), until: now() + SESSION_SECONDS * 1000,
    };
    const handle = sessions.add(session);
    byIndex.add(handle, session.index);
    return answer(pending, session, { 'set-cookie': cookie(COOKIE, handle, { secure }) });
  }

  // --- Sign-out -------------------------------------------------------------------------------

  const forgetCookie = () => ({ 'set-cookie': cookie(COOKIE, '', { secure, maxAge: 0 }) });

  /** The broker asks for a session to be ended, or answers Acme's own question (SAML Profiles section 4.4). */
  async function singleLogout({ request, cookies }) {
    const { message, relayState, provider } =
      await received(request, slo, 'LogoutRequest', 'LogoutResponse');
    if (message.kind === 'LogoutResponse') {
      if (!logouts.take(message.inResponseTo ?? '')) throw new Stop(pages.refusal('Nobody asked for this.'));
      return pages.signedOut({ everywhere: message.success, client: CLIENT });
    }
    if (seen.get(message.id)) throw new Stop(pages.refusal('This was sent before.'));
    seen.add(true, message.id);
    if (!provider.logout) throw new Stop(pages.refusal(`${CLIENT} has no address for the answer.`));
    let headers = {};
    for (const index of message.sessions) {
      const handle = byIndex.get(index);
      const session = sessions.get(handle ?? '');
      if (session?.joined?.name.nameId !== message.nameId) continue;
      endSession(handle);
      if (handle === cookies[COOKIE]) headers = forgetCookie();
    }
    return redirect(saml.logoutResponse({
      issuer: entityId, request: message, service: provider.logout, relayState, keys: signing, now: now(),
    }), { headers });
  }

  /** The person signs out here: Acme's session ends, and the broker is asked to end its own. */
  async function logout({ cookies }) {
    const session = endSession(cookies[COOKIE]);
    const headers = forgetCookie();
    if (!session?.joined) return pages.signedOut({ headers });
    const provider = await serviceProvider();
    if (!provider.logout) return pages.signedOut({ everywhere: false, client: CLIENT, headers });
    const { id, address } = saml.logoutRequest({
      issuer: entityId, service: provider.logout, audience: provider.entityId, subject: session.joined.name,
      index: session.index, keys: signing, now: now(), lifetime: MESSAGE_MILLISECONDS,
    });
    logouts.add(true, id);
    return redirect(address, { headers });
  }

  return {
    'GET /': async ({ cookies }) => pages.home({ person: sessions.get(cookies[COOKIE])?.person, entityId }),
    'GET /metadata': async () =>
      ({ status: 200, headers: { 'content-type': 'application/samlmetadata+xml', 'cache-control': 'no-store' }, body: document }),
    'GET /post.js': async () =>
      ({ status: 200, headers: { 'content-type': 'text/javascript; charset=utf-8', 'cache-control': 'max-age=300' }, body: pages.POST_SCRIPT }),
    'GET /sso': signIn,
    'POST /choose': choose,
    'GET /slo': singleLogout,
    'POST /logout': logout,
  };
}

await main(import.meta.url, 'Acme', acme, { port: 8083 });
