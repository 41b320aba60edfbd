// An identity provider of pysaml2, unmodified: Python's SAML, over xmlsec1.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { startPysaml2 } from './lib/pysaml2.mjs';
import { samlSuite } from './lib/saml-suite.mjs';

const PEOPLE = {
  ada: { uid: ['ada'], displayName: ['Ada Lovelace'], mail: ['ada@upstream.example'], eduPersonEntitlement: ['analysts', 'poets'] },
  grace: { uid: ['grace'], displayName: ['Grace Hopper'], mail: ['grace@upstream.example'] },
};
const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect';
const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST';
const settings = (lines) => `nameid_format = "persistent"
${lines}

[provider.attributes]
email = "urn:oid:0.9.2342.19200300.100.1.3"
name = { friendly_name = "displayName" }
groups = "urn:oid:1.3.6.1.4.1.5923.1.1.1.7"
`;

const folder = mkdtempSync(join(tmpdir(), 'countersign-pysaml2-subjects-'));
after(() => rmSync(folder, { recursive: true }));

const both = { assertion: true, response: true };

samlSuite({
  name: 'pysaml2',
  skip: process.env.COUNTERSIGN_PYTHON ? false : 'COUNTERSIGN_PYTHON names no interpreter with the requirements',
  entityPath: '/metadata',
  variations: {
    'pysaml2-assertion': { toml: settings('signed = "assertion"'), variation: { assertion: true, response: false } },
    'pysaml2-response': { toml: settings('signed = "response"'), variation: { assertion: false, response: true } },
    'pysaml2-both': { toml: settings('signed = "both"'), variation: both },
    'pysaml2-post': { toml: settings('request_binding = "post"\nsigned = "both"'), variation: both },
    'pysaml2-encrypted': { toml: settings('encryption = "required"\nsigned = "both"'), variation: { ...both, encrypt: 'aes-gcm' }, encrypted: true },
  },
  start: ({ port, keys, partners }) => startPysaml2({ port, keys, people: PEOPLE, partners, subjects: join(folder, 'subjects') }),
  login: (browser, page, user) => browser.submit(page, { user }),
  who: async (browser, idp) => (await browser.open(idp.url)).root.querySelector('#who').text,
  refused: [
    ['pysaml2-both', 'the response is not signed', { assertion: true, response: false }, /saml\.sig\.response_required/],
    ['pysaml2-response', 'the assertion is signed instead', { assertion: true, response: false }, /saml\.sig\.response_required/],
    ['pysaml2-assertion', 'the response is signed instead', { assertion: false, response: true }, /saml\.sig\.assertion_required/],
    ['pysaml2-encrypted', 'not encrypted', both, /saml\.enc/],
    ['pysaml2-encrypted', 'by 3DES, as pysaml2 does by itself', { ...both, encrypt: '3des' }, /saml\.enc\.alg/],
  ],
  rollover: (_old, next) => [{ keys: next }],
  logouts: ['pysaml2-both', 'pysaml2-post'],
  signOut: (browser, idp, id) => browser.open(`${idp.url}/sign-out?binding=${encodeURIComponent(id === 'pysaml2-post' ? POST : REDIRECT)}`),
});
