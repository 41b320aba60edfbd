// The SAML that Acme speaks: reads and checks requests that came by redirect, and writes signed messages.
// Nothing here knows of HTTP or of sessions.

import { randomBytes, sign, verify, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRawSync, inflateRaw } from 'node:zlib';
import { DOMParser } from '@xmldom/xmldom';
import { SignedXml } from 'xml-crypto';
import { html as xml } from '../lib/web.mjs';

export const NS = {
  protocol: 'urn:oasis:names:tc:SAML:2.0:protocol',
  assertion: 'urn:oasis:names:tc:SAML:2.0:assertion',
  metadata: 'urn:oasis:names:tc:SAML:2.0:metadata',
  signature: 'http://www.w3.org/2000/09/xmldsig#',
};
export const BINDING = {
  redirect: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect',
  post: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
};
export const NAME_ID = {
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  transient: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
  email: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  unspecified: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
};
const STATUS = 'urn:oasis:names:tc:SAML:2.0:status:';
const BASIC = 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic';
const URI = 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri';

const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const ENVELOPED = `${NS.signature}enveloped-signature`;
const RSA_SHA256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256';
const SHA256 = 'http://www.w3.org/2001/04/xmlenc#sha256';
/** Signature algorithms that are taken from others, and the digest of each. */
const ALGORITHMS = new Map(['rsa', 'ecdsa'].flatMap((kind) => [256, 384, 512].map(
  (bits) => [`http://www.w3.org/2001/04/xmldsig-more#${kind}-sha${bits}`, { kind, digest: `sha${bits}` }],
)));

const MAX_MESSAGE_BYTES = 64 * 1024;

/** What is wrong with a message, in a sentence. */
export class SamlError extends Error {}

const newId = () => `_${randomBytes(20).toString('hex')}`;
const instant = (milliseconds) => new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');

// --- Reading --------------------------------------------------------------------------------

/** The root element of a text, which must have this name. */
function parse(text, namespace, ...names) {
  if (/<!DOCTYPE/i.test(text)) throw new SamlError('The message has a document type.');
  let root;
  try {
    const errorHandler = (_level, message) => { throw new SamlError(message); };
    root = new DOMParser({ errorHandler }).parseFromString(text, 'text/xml').documentElement;
  } catch {
    throw new SamlError('The message is not well-formed XML.');
  }
  if (root?.namespaceURI !== namespace || !names.includes(root.localName)) {
    throw new SamlError(`A message of this kind is not taken here: ${root?.localName}.`);
  }
  return root;
}

const children = (element, namespace, name) => Array.from(element?.childNodes ?? [])
  .filter((node) => node.namespaceURI === namespace && node.localName === name);
const child = (element, namespace, name) => children(element, namespace, name)[0];
const textOf = (element) => element?.textContent.trim();
const attribute = (element, name) => (element?.hasAttribute(name) ? element.getAttribute(name) : undefined);
const isTrue = (value) => value === 'true' || value === '1';

/**
 * A message that came by redirect, in the query as it was sent (SAML Bindings section 3.4.4).
 *
 * @returns `message`, `relayState`, and `signedBy(certificates)`, which says whether one of them signed it
 */
export async function readRedirect(rawQuery) {
  const raw = new Map();
  for (const part of rawQuery.split('&').filter(Boolean)) {
    const [name, ...rest] = part.split('=');
    if (raw.has(name)) throw new SamlError(`${name} was sent twice.`);
    raw.set(name, rest.join('='));
  }
  const decoded = (name) => {
    try {
      return raw.has(name) ? decodeURIComponent(raw.get(name).replaceAll('+', ' ')) : undefined;
    } catch {
      throw new SamlError(`${name} is not encoded as addresses are.`);
    }
  };
  const name = ['SAMLRequest', 'SAMLResponse'].filter((candidate) => raw.has(candidate));
  if (name.length !== 1) throw new SamlError('Exactly one SAMLRequest or SAMLResponse is expected.');
  let text;
  try {
    const deflated = Buffer.from(decoded(name[0]), 'base64');
    text = (await promisify(inflateRaw)(deflated, { maxOutputLength: MAX_MESSAGE_BYTES })).toString('utf8');
  } catch {
    throw new SamlError('The message is not deflated and encoded as the redirect binding demands.');
  }
  // What was signed are the octets as they were sent, in this order, whatever the order in the address.
  const signed = [name[0], 'RelayState', 'SigAlg'].filter((part) => raw.has(part))
    .map((part) => `${part}=${raw.get(part)}`).join('&');
  const algorithm = ALGORITHMS.get(decoded('SigAlg'));
  const signature = Buffer.from(decoded('Signature') ?? '', 'base64');
  return {
    message: readMessage(text, name[0] === 'SAMLRequest' ? ['AuthnRequest', 'LogoutRequest'] : ['LogoutResponse']),
    relayState: decoded('RelayState'),
    signedBy: (certificates) => algorithm !== undefined && certificates.some(({ publicKey }) =>
      publicKey.asymmetricKeyType === { rsa: 'rsa', ecdsa: 'ec' }[algorithm.kind]
        && verify(algorithm.digest, signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)),
  };
}

function readMessage(text, kinds) {
  const root = parse(text, NS.protocol, ...kinds);
  const message = {
    kind: root.localName,
    id: attribute(root, 'ID'),
    version: attribute(root, 'Version'),
    issueInstant: Date.parse(attribute(root, 'IssueInstant') ?? ''),
    destination: attribute(root, 'Destination'),
    inResponseTo: attribute(root, 'InResponseTo'),
    issuer: textOf(child(root, NS.assertion, 'Issuer')),
  };
  if (!message.id || message.version !== '2.0' || !message.issuer || Number.isNaN(message.issueInstant)) {
    throw new SamlError('ID, Version 2.0, IssueInstant and Issuer are expected.');
  }
  const nameId = textOf(child(root, NS.assertion, 'NameID'));
  if (message.kind === 'LogoutRequest') {
    return { ...message, nameId, sessions: children(root, NS.protocol, 'SessionIndex').map(textOf) };
  }
  if (message.kind === 'LogoutResponse') {
    const code = child(child(root, NS.protocol, 'Status'), NS.protocol, 'StatusCode');
    return { ...message, success: attribute(code, 'Value') === `${STATUS}Success` };
  }
  const context = child(root, NS.protocol, 'RequestedAuthnContext');
  return {
    ...message,
    acsUrl: attribute(root, 'AssertionConsumerServiceURL'),
    acsIndex: attribute(root, 'AssertionConsumerServiceIndex'),
    protocolBinding: attribute(root, 'ProtocolBinding'),
    forceAuthn: isTrue(attribute(root, 'ForceAuthn')),
    isPassive: isTrue(attribute(root, 'IsPassive')),
    nameIdFormat: attribute(child(root, NS.protocol, 'NameIDPolicy'), 'Format'),
    hint: textOf(child(child(root, NS.assertion, 'Subject'), NS.assertion, 'NameID')),
    contexts: children(context, NS.assertion, 'AuthnContextClassRef').map(textOf),
    comparison: attribute(context, 'Comparison') ?? 'exact',
  };
}

/** What the metadata of a service provider says: who it is, its keys, and where its services are. */
export function readServiceProvider(text) {
  const root = parse(text, NS.metadata, 'EntityDescriptor');
  const role = child(root, NS.metadata, 'SPSSODescriptor');
  if (!role) throw new SamlError('The metadata describes no service provider.');
  const certificates = children(role, NS.metadata, 'KeyDescriptor')
    .filter((key) => (attribute(key, 'use') ?? 'signing') === 'signing')
    .flatMap((key) => Array.from(key.getElementsByTagNameNS(NS.signature, 'X509Certificate')))
    .map((certificate) => new X509Certificate(Buffer.from(certificate.textContent, 'base64')));
  const services = (name) => children(role, NS.metadata, name).map((service) => ({
    binding: attribute(service, 'Binding'),
    location: attribute(service, 'Location'),
    responseLocation: attribute(service, 'ResponseLocation') ?? attribute(service, 'Location'),
    index: attribute(service, 'index'),
    isDefault: isTrue(attribute(service, 'isDefault')),
  }));
  return {
    entityId: attribute(root, 'entityID'),
    certificates,
    consumers: services('AssertionConsumerService').filter(({ binding }) => binding === BINDING.post),
    logout: services('SingleLogoutService').find(({ binding }) => binding === BINDING.redirect),
  };
}

// --- Writing --------------------------------------------------------------------------------

/** Signs the element of this id, as the schema has it: after its Issuer, or first. */
function signElement(text, id, keys) {
  const signer = new SignedXml({
    privateKey: keys.key, publicCert: keys.certificate,
    signatureAlgorithm: RSA_SHA256, canonicalizationAlgorithm: EXCLUSIVE,
  });
  const element = `//*[@ID='${id}']`;
  signer.addReference({ xpath: element, digestAlgorithm: SHA256, transforms: [ENVELOPED, EXCLUSIVE] });
  const issuer = `${element}/*[local-name()='Issuer']`;
  const location = text.includes('EntityDescriptor')
    ? { reference: element, action: 'prepend' } : { reference: issuer, action: 'after' };
  signer.computeSignature(text, { prefix: 'ds', location });
  return signer.getSignedXml();
}

/** Acme's own metadata, signed. */
export function metadata({ entityId, sso, slo, keys }) {
  const id = newId();
  const text = xml`<md:EntityDescriptor xmlns:md="${NS.metadata}" ID="${id}" entityID="${entityId}">
<md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="${NS.protocol}">
<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="${NS.signature}"><ds:X509Data><ds:X509Certificate>${keys.base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
<md:SingleLogoutService Binding="${BINDING.redirect}" Location="${slo}"/>
<md:NameIDFormat>${NAME_ID.persistent}</md:NameIDFormat>
<md:NameIDFormat>${NAME_ID.transient}</md:NameIDFormat>
<md:NameIDFormat>${NAME_ID.email}</md:NameIDFormat>
<md:SingleSignOnService Binding="${BINDING.redirect}" Location="${sso}"/>
</md:IDPSSODescriptor>
<md:Organization><md:OrganizationName xml:lang="en">Acme</md:OrganizationName><md:OrganizationDisplayName xml:lang="en">Acme</md:OrganizationDisplayName><md:OrganizationURL xml:lang="en">${entityId}</md:OrganizationURL></md:Organization>
</md:EntityDescriptor>
`;
  return signElement(String(text), id, keys);
}

const attributeStatement = (attributes) => xml`<saml:AttributeStatement>${attributes
  .filter(({ values }) => values.length > 0)
  .map(({ name, friendlyName, values }) => xml`<saml:Attribute Name="${name}" NameFormat="${name.startsWith('urn:') ? URI : BASIC}" FriendlyName="${friendlyName}">${
    values.map((value) => xml`<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">${value}</saml:AttributeValue>`)
  }</saml:Attribute>`)}</saml:AttributeStatement>`;

/** A person's name, the same in every message. Opaque ones say between whom they hold (SAML Core section 8.3.7). */
function nameIdElement({ issuer, audience, nameId, format }) {
  return format === NAME_ID.persistent || format === NAME_ID.transient
    ? xml`<saml:NameID Format="${format}" NameQualifier="${issuer}" SPNameQualifier="${audience}">${nameId}</saml:NameID>`
    : xml`<saml:NameID Format="${format}">${nameId}</saml:NameID>`;
}

/**
 * A Response with one assertion, both signed (SAML Profiles section 4.1.4).
 *
 * @param subject `nameId`, `format`, `attributes`
 * @param session `index`, `authInstant`, `until`, `context`
 * @param lifetime how long the assertion may be used, in milliseconds
 */
export function response({ issuer, request, acs, audience, subject, session, keys, now, lifetime }) {
  const [responseId, assertionId] = [newId(), newId()];
  const until = instant(now + lifetime);
  const inResponseTo = request.id;
  const nameId = nameIdElement({ issuer, audience, ...subject });
  const assertion = xml`<saml:Assertion xmlns:saml="${NS.assertion}" ID="${assertionId}" Version="2.0" IssueInstant="${instant(now)}"><saml:Issuer>${issuer}</saml:Issuer><saml:Subject>${nameId}<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData InResponseTo="${inResponseTo}" NotOnOrAfter="${until}" Recipient="${acs}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${instant(now)}" NotOnOrAfter="${until}"><saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="${instant(session.authInstant)}" SessionIndex="${session.index}" SessionNotOnOrAfter="${instant(session.until)}"><saml:AuthnContext><saml:AuthnContextClassRef>${session.context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>${attributeStatement(subject.attributes)}</saml:Assertion>`;
  const text = xml`<samlp:Response xmlns:samlp="${NS.protocol}" xmlns:saml="${NS.assertion}" ID="${responseId}" Version="2.0" IssueInstant="${instant(now)}" Destination="${acs}" InResponseTo="${inResponseTo}"><saml:Issuer>${issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="${STATUS}Success"/></samlp:Status>${assertion}</samlp:Response>`;
  return signElement(signElement(String(text), assertionId, keys), responseId, keys);
}

/** A Response that says no: the top status, the second one, and a sentence. */
export function refusal({ issuer, request, acs, status: [top, second], message, keys, now }) {
  const id = newId();
  const text = xml`<samlp:Response xmlns:samlp="${NS.protocol}" xmlns:saml="${NS.assertion}" ID="${id}" Version="2.0" IssueInstant="${instant(now)}" Destination="${acs}" InResponseTo="${request.id}"><saml:Issuer>${issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="${STATUS}${top}"><samlp:StatusCode Value="${STATUS}${second}"/></samlp:StatusCode><samlp:StatusMessage>${message}</samlp:StatusMessage></samlp:Status></samlp:Response>`;
  return signElement(String(text), id, keys);
}

/** The address that carries a message by redirect, signed. */
function redirectTo(location, name, text, relayState, keys) {
  const parts = [[name, deflateRawSync(String(text)).toString('base64')]];
  if (relayState !== undefined) parts.push(['RelayState', relayState]);
  parts.push(['SigAlg', RSA_SHA256]);
  const query = parts.map(([part, value]) => `${part}=${encodeURIComponent(value)}`).join('&');
  const signature = encodeURIComponent(sign('sha256', Buffer.from(query), keys.key).toString('base64'));
  return `${location}${location.includes('?') ? '&' : '?'}${query}&Signature=${signature}`;
}

/** A request that the service provider end a session; answers its id and the address. */
export function logoutRequest({ issuer, service, subject, audience, index, keys, now, lifetime }) {
  const id = newId();
  const text = xml`<samlp:LogoutRequest xmlns:samlp="${NS.protocol}" xmlns:saml="${NS.assertion}" ID="${id}" Version="2.0" IssueInstant="${instant(now)}" Destination="${service.location}" NotOnOrAfter="${instant(now + lifetime)}"><saml:Issuer>${issuer}</saml:Issuer>${nameIdElement({ issuer, audience, ...subject })}<samlp:SessionIndex>${index}</samlp:SessionIndex></samlp:LogoutRequest>`;
  return { id, address: redirectTo(service.location, 'SAMLRequest', text, undefined, keys) };
}

/** The answer to a service provider's request to sign out. */
export function logoutResponse({ issuer, request, service, relayState, keys, now }) {
  const text = xml`<samlp:LogoutResponse xmlns:samlp="${NS.protocol}" xmlns:saml="${NS.assertion}" ID="${newId()}" Version="2.0" IssueInstant="${instant(now)}" Destination="${service.responseLocation}" InResponseTo="${request.id}"><saml:Issuer>${issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="${STATUS}Success"/></samlp:Status></samlp:LogoutResponse>`;
  return redirectTo(service.responseLocation, 'SAMLResponse', text, relayState, keys);
}
