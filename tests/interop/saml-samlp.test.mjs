// samlp (Auth0), unmodified, as the SAML identity provider.
import { startSamlp } from './lib/samlp.mjs';
import { samlSuite } from './lib/saml-suite.mjs';

// What Passport knows of people; samlp makes attributes of it with names of Microsoft's.
const PEOPLE = {
  ada: { id: 'upstream|ada', displayName: 'Ada Lovelace', name: { givenName: 'Ada', familyName: 'Lovelace' }, emails: [{ value: 'ada@upstream.example' }], groups: ['analysts', 'poets'] },
  grace: { id: 'upstream|grace', displayName: 'Grace Hopper', name: { givenName: 'Grace', familyName: 'Hopper' }, emails: [{ value: 'grace@upstream.example' }] },
};
const CLAIMS = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims';
const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';
const settings = (lines) => `${lines}

[provider.attributes]
email = "${CLAIMS}/emailaddress"
name = "${CLAIMS}/name"
groups = "http://schemas.passportjs.com/groups"
`;
const both = { signAssertion: true, signResponse: true };

samlSuite({
  name: 'samlp',
  entityPath: '/metadata',
  variations: {
    'samlp-assertion': { toml: settings('signed = "assertion"'), variation: { signAssertion: true, signResponse: false } },
    'samlp-response': { toml: settings('signed = "response"'), variation: { signAssertion: false, signResponse: true } },
    'samlp-both': { toml: settings('signed = "both"'), variation: both },
    'samlp-prefixed': { toml: settings('signed = "both"'), variation: { ...both, signatureNamespacePrefix: 'ds' } },
    'samlp-post': { toml: settings('request_binding = "post"\nsigned = "both"'), variation: { ...both, logoutBinding: POST } },
    'samlp-encrypted': { toml: settings('encryption = "required"\nsigned = "both"'), variation: { ...both, encrypt: true }, encrypted: true },
  },
  start: ({ port, keys, partners }) => startSamlp({ port, keys, people: PEOPLE, partners }),
  login: (browser, page, user) => browser.submit(page, { user }),
  who: async (browser, idp) => (await browser.open(idp.url)).root.querySelector('#who').text,
  refused: [
    ['samlp-both', 'the response is not signed', { signAssertion: true, signResponse: false }, /saml\.sig\.response_required/],
    ['samlp-response', 'the assertion is signed instead', { signAssertion: true, signResponse: false }, /saml\.sig\.response_required/],
    ['samlp-assertion', 'the response is signed instead', { signAssertion: false, signResponse: true }, /saml\.sig\.assertion_required/],
    ['samlp-assertion', 'by SHA-1', { signAssertion: true, signatureAlgorithm: 'rsa-sha1', digestAlgorithm: 'sha1' }, /saml\.alg/],
    ['samlp-encrypted', 'not encrypted', both, /saml\.enc/],
    ['samlp-encrypted', 'by AES-CBC', { ...both, encrypt: true, encryptionAlgorithm: 'http://www.w3.org/2001/04/xmlenc#aes256-cbc', disallowEncryptionWithInsecureAlgorithm: false }, /saml\.enc\.alg/],
  ],
  // samlp publishes one certificate: the broker learns the new one when a signature does not fit.
  rollover: (_old, next) => [{ keys: next }],
  logouts: ['samlp-both', 'samlp-post'],
  signOut: (browser, idp) => browser.open(`${idp.url}/logout`),
});
