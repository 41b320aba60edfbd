// Acme, judged by node-saml as the service provider with its checks on, and by what it must refuse.

import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { SAML, ValidateInResponseTo } from '@node-saml/node-saml';
import { DOMParser } from '@xmldom/xmldom';
import { keyPair } from '../acme/keys.mjs';
import { BINDING, NAME_ID, NS } from '../acme/saml.mjs';
import { acme } from '../acme/server.mjs';
import { start } from '../lib/web.mjs';

const CONTEXT = 'urn:acme:picked';

let broker;
let brokerUrl;
let entityId;
let acs;
let sls;
let keys;
let server;
let idpCert;
let clock = Date.now();

/** What a broker publishes of itself. */
const brokerMetadata = () => `<md:EntityDescriptor xmlns:md="${NS.metadata}" entityID="${entityId}"><md:SPSSODescriptor protocolSupportEnumeration="${NS.protocol}"><md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="${NS.signature}"><ds:X509Data><ds:X509Certificate>${keys.base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleLogoutService Binding="${BINDING.redirect}" Location="${sls}"/><md:AssertionConsumerService Binding="${BINDING.post}" Location="${acs}" index="0"/></md:SPSSODescriptor></md:EntityDescriptor>`;

before(async () => {
  keys = await keyPair();
  broker = createServer((request, response) => response.end(request.url === '/upstream/acme/metadata' ? brokerMetadata() : ''));
  await new Promise((resolve) => broker.listen(0, '127.0.0.1', resolve));
  brokerUrl = `http://127.0.0.1:${broker.address().port}`;
  entityId = `${brokerUrl}/upstream/acme/metadata`;
  acs = `${brokerUrl}/upstream/acme/callback`;
  sls = `${brokerUrl}/upstream/acme/logout`;
  server = await start(acme, { brokerUrl, now: () => clock });
  const document = new DOMParser().parseFromString(await (await fetch(`${server.url}/metadata`)).text(), 'text/xml');
  idpCert = document.getElementsByTagNameNS(NS.signature, 'X509Certificate')[0].textContent;
});
after(async () => {
  await server.close();
  broker.close();
});

const serviceProvider = (options = {}) => new SAML({
  callbackUrl: acs,
  entryPoint: `${server.url}/sso`,
  logoutUrl: `${server.url}/slo`,
  logoutCallbackUrl: sls,
  issuer: entityId,
  audience: entityId,
  idpIssuer: `${server.url}/metadata`,
  idpCert,
  privateKey: keys.key,
  signatureAlgorithm: 'sha256',
  wantAssertionsSigned: true,
  wantAuthnResponseSigned: true,
  validateInResponseTo: ValidateInResponseTo.always,
  identifierFormat: NAME_ID.persistent,
  disableRequestedAuthnContext: true,
  acceptedClockSkewMs: 0,
  ...options,
});

/** A browser without scripts: keeps cookies, follows nothing by itself. */
function browser() {
  const jar = new Map();
  const send = async (url, init = {}) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/Max-Age=0/.test(line)) jar.delete(name); else jar.set(name, value);
    }
    return response;
  };
  return { get: send, post: (url, form) => send(url, { method: 'POST', body: new URLSearchParams(form) }) };
}

/** The form of a page that posts itself. */
function formOf(markup) {
  const decode = (text) => text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
  const fields = Object.fromEntries([...markup.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)]
    .map(([, name, value]) => [name, decode(value)]));
  return { action: /<form method="post" action="([^"]+)"/.exec(markup)?.[1], fields };
}

/** Opens an address of Acme's, presses a button of the page where people choose, and answers the form that follows. */
async function pick(client, url, button) {
  const markup = await (await client.get(url)).text();
  const request = /name="request" value="([^"]+)"/.exec(markup)?.[1];
  assert.ok(request, `the page to choose on is shown:\n${markup}`);
  return formOf(await (await client.post(`${server.url}/choose`, { request, ...button })).text());
}

async function signIn(client, user, sp = serviceProvider()) {
  const { action, fields } = await pick(client, await sp.getAuthorizeUrlAsync('state-1', undefined, {}), { user });
  assert.equal(action, acs);
  assert.equal(fields.RelayState, 'state-1');
  return { ...(await sp.validatePostResponseAsync(fields)), fields };
}

const statusOf = ({ fields }) =>
  [...Buffer.from(fields.SAMLResponse, 'base64').toString().matchAll(/StatusCode Value="[^"]*:([^":]+)"/g)].map(([, code]) => code);

test('everyone signs in, and the attributes are as documented', async () => {
  const expected = {
    alice: ['Alice Ahlgren', ['Engineering', 'Everyone']],
    bob: ['Bob Baptiste', ['Engineering', 'Everyone']],
    carol: ['Carol Castellanos', ['Sales', 'Everyone']],
    mallory: ['Mallory Marsh', 'Everyone'],
  };
  const names = new Set();
  for (const [user, [name, groups]] of Object.entries(expected)) {
    const { profile } = await signIn(browser(), user);
    assert.equal(profile.nameIDFormat, NAME_ID.persistent);
    assert.equal(profile['urn:oid:2.16.840.1.113730.3.1.241'], name);
    assert.equal(profile.mail, `${user}@acme.example`);
    assert.deepEqual(profile['urn:oid:1.3.6.1.4.1.5923.1.5.1.1'], groups);
    assert.ok(profile.sessionIndex);
    names.add(profile.nameID);
    assert.equal((await signIn(browser(), user)).profile.nameID, profile.nameID, 'a name that stays');
  }
  assert.equal(names.size, 4);
});

test('a second sign-in is silent, unless a new proof is demanded', async () => {
  const client = browser();
  const { profile } = await signIn(client, 'bob');
  const sp = serviceProvider();
  const silent = formOf(await (await client.get(await sp.getAuthorizeUrlAsync('', undefined, {}))).text());
  assert.equal((await sp.validatePostResponseAsync(silent.fields)).profile.sessionIndex, profile.sessionIndex);
  const forced = serviceProvider({ forceAuthn: true });
  assert.notEqual((await signIn(client, 'bob', forced)).profile.sessionIndex, profile.sessionIndex);
});

test('what cannot be done is answered with a status', async () => {
  const asked = async (options) =>
    statusOf(formOf(await (await browser().get(await serviceProvider(options).getAuthorizeUrlAsync('', undefined, {}))).text()));
  assert.deepEqual(await asked({ passive: true }), ['Responder', 'NoPassive']);
  assert.deepEqual(
    await asked({ disableRequestedAuthnContext: false, authnContext: ['urn:oasis:names:tc:SAML:2.0:ac:classes:X509'] }),
    ['Responder', 'NoAuthnContext'],
  );
  const other = serviceProvider({ identifierFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos' });
  const form = await pick(browser(), await other.getAuthorizeUrlAsync('', undefined, {}), { user: 'alice' });
  assert.deepEqual(statusOf(form), ['Requester', 'InvalidNameIDPolicy']);
  const sp = serviceProvider();
  const cancelled = await pick(browser(), await sp.getAuthorizeUrlAsync('', undefined, {}), { action: 'cancel' });
  assert.deepEqual(statusOf(cancelled), ['Responder', 'AuthnFailed']);
  await assert.rejects(sp.validatePostResponseAsync(cancelled.fields), /The person cancelled/);
});

test('a context that it gives, and other NameID formats, are given', async () => {
  const sp = serviceProvider({ disableRequestedAuthnContext: false, authnContext: [CONTEXT], identifierFormat: NAME_ID.email });
  const { profile, fields } = await signIn(browser(), 'carol', sp);
  assert.equal(profile.nameID, 'carol@acme.example');
  assert.match(Buffer.from(fields.SAMLResponse, 'base64').toString(), new RegExp(`AuthnContextClassRef>${CONTEXT}<`));
  const passing = serviceProvider({ identifierFormat: NAME_ID.transient });
  const first = await signIn(browser(), 'carol', passing);
  assert.notEqual((await signIn(browser(), 'carol', passing)).profile.nameID, first.profile.nameID);
});

test('what is not the broker’s, or not as it was signed, is refused on a page', async () => {
  const refused = async (url, words) => {
    const reply = await browser().get(url);
    assert.equal(reply.status, 400);
    assert.match(await reply.text(), words);
  };
  const url = new URL(await serviceProvider().getAuthorizeUrlAsync('state-1', undefined, {}));
  assert.equal((await browser().get(url)).status, 200, 'as it was signed, it is taken');
  const changed = (change) => { const other = new URL(url); change(other.searchParams); return other; };
  await refused(changed((query) => query.set('RelayState', 'state-2')), /not signed by/);
  await refused(changed((query) => query.delete('Signature')), /not signed by/);
  await refused(changed((query) => query.set('SigAlg', 'http://www.w3.org/2000/09/xmldsig#rsa-sha1')), /not signed by/);
  await refused(changed((query) => query.append('SAMLRequest', query.get('SAMLRequest'))), /twice/);
  await refused(changed((query) => query.set('SAMLRequest', 'AAAA')), /not deflated/);
  const bomb = deflateRawSync(Buffer.alloc(10_000_000)).toString('base64');
  await refused(changed((query) => query.set('SAMLRequest', bomb)), /not deflated/);
  const plain = (text) => changed((query) => query.set('SAMLRequest', deflateRawSync(text).toString('base64')));
  await refused(plain('<a>'), /not well-formed/);
  await refused(plain('<!DOCTYPE a><a/>'), /document type/);
  await refused(plain('<a/>'), /not taken here/);

  const stranger = await keyPair();
  const by = (options) => serviceProvider(options).getAuthorizeUrlAsync('', undefined, {});
  await refused(await by({ privateKey: stranger.key }), /not signed by/);
  await refused(await by({ issuer: 'http://elsewhere.test' }), /not known here/);
  await refused(await by({ callbackUrl: 'http://elsewhere.test/acs' }), /not registered/);
  const misled = new URL(await by({ entryPoint: `${server.url}/elsewhere` }));
  await refused(`${server.url}/sso${misled.search}`, /another address/);
  clock += 3_600_000;
  await refused(url, /too old/);
  clock -= 3_600_000;
});

test('the broker signs people out, and hears that it is so', async () => {
  const client = browser();
  const sp = serviceProvider();
  const { profile } = await signIn(client, 'alice', sp);
  const forged = serviceProvider({ privateKey: (await keyPair()).key });
  assert.equal((await client.get(await forged.getLogoutUrlAsync(profile, '', {}))).status, 400);
  assert.match(await (await client.get(`${server.url}/`)).text(), /signed in to Acme as/);

  const url = await sp.getLogoutUrlAsync(profile, 'out-1', {});
  const reply = await client.get(url);
  assert.equal(reply.status, 303);
  const location = new URL(reply.headers.get('location'));
  assert.equal(location.origin + location.pathname, sls);
  assert.equal(location.searchParams.get('RelayState'), 'out-1');
  const answer = await sp.validateRedirectAsync(Object.fromEntries(location.searchParams), location.search.slice(1));
  assert.equal(answer.loggedOut, true);
  assert.match(await (await client.get(`${server.url}/`)).text(), /Nobody is signed in/);
  assert.equal((await client.get(url)).status, 400, 'once only');
});

test('another person’s session is left alone', async () => {
  const [alice, bob] = [browser(), browser()];
  const sp = serviceProvider();
  const first = await signIn(alice, 'alice', sp);
  const second = await signIn(bob, 'bob', sp);
  const mixed = { ...first.profile, nameID: second.profile.nameID };
  assert.equal((await alice.get(await sp.getLogoutUrlAsync(mixed, '', {}))).status, 303);
  for (const client of [alice, bob]) assert.match(await (await client.get(`${server.url}/`)).text(), /signed in to Acme as/);
});

test('who signs out at Acme is led to the broker, and back', async () => {
  const client = browser();
  const sp = serviceProvider();
  const { profile } = await signIn(client, 'carol', sp);
  const reply = await client.post(`${server.url}/logout`, {});
  const location = new URL(reply.headers.get('location'));
  assert.equal(location.origin + location.pathname, sls);
  const { profile: asked } = await sp.validateRedirectAsync(Object.fromEntries(location.searchParams), location.search.slice(1));
  assert.equal(asked.nameID, profile.nameID);
  assert.equal(asked.sessionIndex, profile.sessionIndex);
  const back = await sp.getLogoutResponseUrlAsync(asked, '', {}, true);
  assert.match(await (await client.get(back)).text(), /signed out of Acme, and of Countersign/);
  assert.equal((await client.get(back)).status, 400, 'nobody asked twice');
  assert.match(await (await client.post(`${server.url}/logout`, {})).text(), /You are signed out of Acme/);
});

test('a key is made once for a folder, and is its owner’s alone', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'acme-'));
  try {
    const first = await keyPair(folder);
    assert.deepEqual(await keyPair(folder), first);
    assert.equal((await stat(path.join(folder, 'saml.key'))).mode & 0o077, 0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
