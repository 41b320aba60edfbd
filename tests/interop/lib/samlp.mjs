// Auth0's samlp, unmodified, as a SAML identity provider behind a page to choose a person on.
import { randomUUID } from 'node:crypto';
import express from 'express';
import samlp from 'samlp';
import SessionParticipants from 'samlp/lib/sessionParticipants/index.js';

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';
const SSO = '/samlp';
const SLO = '/logout';

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

/** The library asks for a store of what it must remember between the steps of a logout. */
class Store {
  #states = new Map();
  save(_request, state, done) { const id = randomUUID(); this.#states.set(id, state); done(null, id); }
  update(_request, id, state, done) { this.#states.set(id, state); done(null, id); }
  load(_request, id, options, done = options) {
    const state = this.#states.get(id);
    if (options.destroy) this.#states.delete(id);
    done(null, state);
  }
}

/**
 * Starts it.
 *
 * @param people by login: the profile, as Passport has it
 * @param partners what `lib/saml.mjs` knows of the broker, and a `variation`: `signResponse`, `signAssertion`, `encrypt`,
 *   `logoutBinding`, or more options of the library
 * @param keys `key` and `certificate` as PEM
 */
export async function startSamlp({ port, keys, people, partners }) {
  const url = `http://localhost:${port}`;
  const entityId = `${url}/metadata`;
  let known;
  const vary = (now) => { known = new Map(now.map((partner) => [partner.entityId, partner])); };
  vary(partners);
  const sessions = new Map();
  const app = express();
  app.use(express.urlencoded({ extended: false }));
  app.use((request, _response, next) => {
    request.body ??= {};
    request.token = /samlp_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
    request.session = sessions.get(request.token);
    next();
  });
  const partnerOf = (request) => new Promise((resolve, reject) => {
    samlp.parseRequest(request, (error, data) => (error ? reject(error) : resolve(known.get(data?.issuer))));
  });

  async function answer(request, response, next) {
    const partner = await partnerOf(request);
    if (!partner) { response.status(403).send('no such partner'); return; }
    if (!request.session) {
      const asked = escape(JSON.stringify({ method: request.method, query: request.query, body: request.body }));
      const buttons = Object.keys(people).map((name) => `<button name="user" value="${name}">${name}</button>`).join('');
      response.send(`<!doctype html><form method="post" action="/choose"><input type="hidden" name="asked" value="${asked}">${buttons}</form>`);
      return;
    }
    const { acs, slo, certificate, publicKey, variation: { encrypt, logoutBinding = REDIRECT, ...options } } = partner;
    const user = people[request.session.user];
    request.session.participants.push({
      serviceProviderId: partner.entityId, nameId: user.id, nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
      sessionIndex: request.session.index, serviceProviderLogoutURL: slo, cert: certificate, binding: logoutBinding,
    });
    samlp.auth({
      issuer: entityId, cert: keys.certificate, key: keys.key, signingCert: certificate, deflate: true, lifetimeInSeconds: 300,
      destination: acs, recipient: acs,
      getUserFromRequest: () => user,
      getPostURL: (_audience, _dom, _request, done) => done(null, acs),
      sessionIndex: request.session.index,
      authnContextClassRef: 'urn:oasis:names:tc:SAML:2.0:ac:classes:Password',
      ...(encrypt ? { encryptionCert: certificate, encryptionPublicKey: publicKey } : {}),
      ...options,
    })(request, response, next);
  }

  app.get(SSO, answer);
  app.post(SSO, answer);
  app.post('/choose', (request, response, next) => {
    const { method, query, body } = JSON.parse(request.body.asked);
    const token = randomUUID();
    request.session = { user: request.body.user, index: `_${randomUUID()}`, participants: [] };
    sessions.set(token, request.session);
    response.cookie('samlp_session', token, { httpOnly: true });
    // As the request came, now that it is known who answers it. Express reads the query from the address.
    request.method = method;
    Object.defineProperty(request, 'query', { value: query, configurable: true });
    request.body = body;
    return answer(request, response, next);
  });

  const store = new Store();
  const logout = (binding) => (request, response, next) => samlp.logout({
    issuer: entityId, cert: keys.certificate, key: keys.key, deflate: binding === REDIRECT, protocolBinding: binding,
    signatureAlgorithm: 'rsa-sha256', digestAlgorithm: 'sha256',
    sessionParticipants: new SessionParticipants(request.session?.participants ?? []), store,
    clearIdPSession: (done) => { sessions.delete(request.token); done(); },
  })(request, response, next);
  app.get(SLO, logout(REDIRECT));
  app.post(SLO, logout(POST));
  app.get('/metadata', samlp.metadata({
    issuer: entityId, cert: keys.certificate, redirectEndpointPath: SSO, postEndpointPath: SSO, logoutEndpointPaths: { redirect: SLO, post: SLO },
  }));
  app.get('/', (request, response) => response.send(`<p id="who">${request.session?.user ?? 'nobody'}</p>`));
  app.use((error, _request, response, _next) => {
    response.status(500).type('text').send(`samlp: ${error.message}`);
  });
  const server = await new Promise((resolve) => { const one = app.listen(port, '127.0.0.1', () => resolve(one)); });
  return {
    url, entityId, vary,
    stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }),
  };
}
