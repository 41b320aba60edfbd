// Keycloak as it is distributed.
import { after } from 'node:test';
import { startKeycloak, stopKeycloak } from './lib/keycloak.mjs';
import { samlSuite } from './lib/saml-suite.mjs';

const PEOPLE = {
  ada: { firstName: 'Ada', lastName: 'Lovelace', email: 'ada@upstream.example', groups: ['analysts', 'poets'] },
  grace: { firstName: 'Grace', lastName: 'Hopper', email: 'grace@upstream.example', groups: [] },
};
const NAME = `
[provider.profile]
name = "claims.given_name ~ ' ' ~ claims.family_name"
`;
const settings = (lines) => `${lines}

[provider.attributes]
email = "urn:oid:1.2.840.113549.1.9.1"
given_name = "urn:oid:2.5.4.42"
family_name = "urn:oid:2.5.4.4"
groups = "member"
${NAME}`;
const signs = (assertion, response) => ({ 'saml.assertion.signature': String(assertion), 'saml.server.signature': String(response) });

samlSuite({
  name: 'Keycloak',
  skip: process.env.COUNTERSIGN_KEYCLOAK ? false : 'by ./dev interop alone',
  entityPath: '/realms/interop',
  metadataPath: '/realms/interop/protocol/saml/descriptor',
  variations: {
    'keycloak-assertion': { toml: settings('signed = "assertion"'), variation: signs(true, false) },
    'keycloak-response': { toml: settings('signed = "response"'), variation: signs(false, true) },
    'keycloak-both': { toml: settings('signed = "both"'), variation: signs(true, true) },
    'keycloak-post': { toml: settings('request_binding = "post"\nsigned = "both"'), variation: { ...signs(true, true), 'saml.force.post.binding': 'true' } },
    'keycloak-preset': {
      head: ({ url }) => `preset = "keycloak-saml"\nbase_url = "${url}"\nrealm = "interop"`, toml: NAME,
      variation: { ...signs(true, true), 'saml_name_id_format': 'persistent' },
    },
    'keycloak-encrypted': { toml: settings('encryption = "required"\nsigned = "both"'), variation: { ...signs(true, true), 'saml.encrypt': 'true' }, encrypted: true },
  },
  start: ({ port, keys, partners }) => startKeycloak({ port, keys, people: PEOPLE, partners }),
  login: (browser, page, user) => browser.submit(page, { username: user, password: 'any' }),
  who: (_browser, idp) => idp.who(),
  refused: [
    ['keycloak-both', 'the response is not signed', signs(true, false), /saml\.sig\.response_required/],
    ['keycloak-assertion', 'the response is signed instead', signs(false, true), /saml\.sig\.assertion_required/],
    ['keycloak-encrypted', 'not encrypted', signs(true, true), /saml\.enc/],
    ['keycloak-assertion', 'by SHA-1', { ...signs(true, false), 'saml.signature.algorithm': 'RSA_SHA1' }, /saml\.alg/],
  ],
  // Both are published while it signs by the new one; then the old one goes.
  rollover: (old, next) => [{ keys: { ...next, old } }, { keys: next }],
  logouts: ['keycloak-both', 'keycloak-post'],
  signOut: (browser, idp) => idp.signOut(browser),
});

after(stopKeycloak);
