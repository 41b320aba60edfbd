// SimpleSAMLphp as Debian ships it.
import { samlSuite } from './lib/saml-suite.mjs';
import { startSimpleSaml } from './lib/simplesamlphp.mjs';

const PEOPLE = {
  ada: { displayName: ['Ada Lovelace'], mail: ['ada@upstream.example'], eduPersonEntitlement: ['analysts', 'poets'] },
  grace: { displayName: ['Grace Hopper'], mail: ['grace@upstream.example'] },
};
const settings = (lines) => `${lines}

[provider.attributes]
email = "urn:oid:0.9.2342.19200300.100.1.3"
name = "urn:oid:2.16.840.1.113730.3.1.241"
groups = "urn:oid:1.3.6.1.4.1.5923.1.1.1.7"
`;
const signs = (assertion, response) => ({ 'saml20.sign.assertion': assertion, 'saml20.sign.response': response });

samlSuite({
  name: 'SimpleSAMLphp',
  skip: process.env.COUNTERSIGN_SIMPLESAMLPHP ? false : 'by ./dev interop alone',
  entityPath: '/saml2/idp/metadata.php',
  variations: {
    'simplesamlphp-assertion': { toml: settings('signed = "assertion"'), variation: signs(true, false) },
    'simplesamlphp-response': { toml: settings('signed = "response"'), variation: signs(false, true) },
    'simplesamlphp-both': { toml: settings('signed = "both"'), variation: signs(true, true) },
    'simplesamlphp-post': { toml: settings('request_binding = "post"\nsigned = "both"'), variation: signs(true, true) },
    // This version encrypts by AES-CBC only.
    'simplesamlphp-encrypted': {
      toml: settings('encryption = "required"\nallow_cbc = true\nsigned = "both"'),
      variation: { ...signs(true, true), 'assertion.encryption': true }, encrypted: true,
    },
  },
  start: ({ port, keys, partners }) => startSimpleSaml({ port, keys, people: PEOPLE, partners }),
  login: (browser, page, user) => browser.submit(page, { username: user, password: 'any' }),
  who: (browser, idp) => idp.who(browser),
  refused: [
    ['simplesamlphp-both', 'the response is not signed', signs(true, false), /saml\.sig\.response_required/],
    ['simplesamlphp-response', 'the assertion is signed instead', signs(true, false), /saml\.sig\.response_required/],
    ['simplesamlphp-assertion', 'the response is signed instead', signs(false, true), /saml\.sig\.assertion_required/],
    ['simplesamlphp-assertion', 'by SHA-1', { ...signs(true, false), 'signature.algorithm': 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' }, /saml\.alg/],
    ['simplesamlphp-encrypted', 'not encrypted', signs(true, true), /saml\.enc/],
  ],
  // It publishes the new certificate beside the old one, and at once signs by the new key; then the old one goes.
  rollover: (old, next) => [{ keys: { ...old, next } }, { keys: next }],
  logouts: ['simplesamlphp-both', 'simplesamlphp-post'],
  signOut: (browser, idp) => idp.signOut(browser),
});
