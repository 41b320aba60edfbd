// Native apps by the rules of RFC 8252, with the libraries that such apps use: the system's browser, a loopback
// redirect on a port that the app gets from the system, PKCE and no secret; or the app's own scheme.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as client from 'openid-client';
import { Browser } from './lib/browser.mjs';
import { discover } from './lib/client.mjs';
import { runProgram } from './lib/program.mjs';
import { signIn, start } from './lib/setup.mjs';

const SCHEME = 'com.example.interop:/callback';
const python = process.env.COUNTERSIGN_PYTHON;
const program = (name) => fileURLToPath(new URL(`native/${name}`, import.meta.url));

let house;
before(async () => {
  house = await start({
    more: `
[[client]]
id = "desktop"
name = "Interop Desktop App"
public = true
redirect_uris = ["http://127.0.0.1/callback", "http://[::1]/callback", "http://127.0.0.1/", "${SCHEME}"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access"]
`,
  });
});
after(() => house?.stop());

/** What the person does in the browser that the app opened, up to the app's own page. */
async function inTheBrowser(asked) {
  const browser = new Browser();
  const redirectUri = asked.searchParams.get('redirect_uri');
  assert.equal(asked.searchParams.get('code_challenge_method'), 'S256', 'the library sends PKCE');
  return browser.open(await signIn(asked, { browser, stopAt: redirectUri, consent: 'allow' }));
}

for (const host of ['127.0.0.1', '[::1]']) {
  test(`an app by AppAuth on a free port of ${host}`, async () => {
    const app = await runProgram(process.execPath, [program('appauth.cjs'), house.issuer, 'desktop', host]);
    try {
      const page = await inTheBrowser(app.asked);
      assert.equal(page.status, 200);
      assert.match(page.text, /close your browser/i, 'the app answered itself');
      const seen = JSON.parse((await app.result).trim().split('\n').at(-1));
      assert.ok(seen.redirect_uri.startsWith(`http://${host}:`));
      assert.equal(seen.userinfo.name, 'Ada Lovelace');
      assert.equal(seen.rotated, true);
      assert.equal(seen.after, 401, 'what the app revoked is gone');
    } finally {
      app.stop();
    }
  });
}

test('a command-line tool by google-auth-oauthlib', { skip: python ? false : 'COUNTERSIGN_PYTHON names no interpreter with the requirements' }, async () => {
  const app = await runProgram(python, [program('installed.py'), house.issuer, 'desktop']);
  try {
    const page = await inTheBrowser(app.asked);
    assert.match(page.text, /authentication flow has completed/i);
    const seen = JSON.parse((await app.result).trim().split('\n').at(-1));
    assert.match(seen.redirect_uri, /^http:\/\/127\.0\.0\.1:\d+\/$/);
    assert.equal(seen.userinfo.name, 'Ada Lovelace');
    assert.equal(seen.valid, true);
  } finally {
    app.stop();
  }
});

/** An authorization request of the app with this redirect URI, by openid-client. */
async function request(redirect_uri) {
  const config = await discover(house, 'desktop', client.None());
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri, scope: 'openid', state, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  });
  const finish = (callback, pkceCodeVerifier = verifier) =>
    client.authorizationCodeGrant(config, callback, { pkceCodeVerifier, expectedState: state, idTokenExpected: true });
  return { url, finish };
}

test('an app with a scheme of its own gets its answer there', async () => {
  const { url, finish } = await request(SCHEME);
  const callback = await signIn(url, { stopAt: SCHEME, consent: 'allow' });
  assert.equal(callback.protocol, 'com.example.interop:');
  const tokens = await finish(callback);
  assert.equal(tokens.claims().aud, 'desktop');
});

test('another port works; another path, host or scheme gets a page and no redirect', async () => {
  for (const redirectUri of ['http://127.0.0.1:49152/callback', 'http://127.0.0.1:65535/callback', 'http://[::1]:50000/callback']) {
    const { url, finish } = await request(redirectUri);
    await finish(await signIn(url, { stopAt: redirectUri, consent: 'allow' }));
  }
  const wrong = [
    'http://127.0.0.1:49152/other', 'http://127.0.0.1:49152/callback/', 'http://127.0.0.1:49152/callback?more=1',
    'https://127.0.0.1:49152/callback', 'http://127.0.0.2:49152/callback', 'http://localhost:49152/callback',
    'http://127.0.0.1.example.com:49152/callback', 'http://127.0.0.1:49152@example.com/callback',
    'com.example.interop:/other', 'com.example.interop2:/callback', 'com.example.interop://callback',
  ];
  for (const redirectUri of wrong) {
    const { url } = await request(redirectUri);
    const page = await new Browser().open(url);
    assert.equal(page.status, 400, redirectUri);
    assert.ok(page.url.href.startsWith(house.issuer), redirectUri);
  }
});

test('whoever steals the code on its way cannot use it: the verifier stayed with the app', async () => {
  const { url, finish } = await request(SCHEME);
  const callback = await signIn(url, { stopAt: SCHEME, consent: 'allow' });
  await assert.rejects(finish(callback, client.randomPKCECodeVerifier()), { error: 'invalid_grant' });
});
