// Sign-in by SAML in a browser, over TLS, with broker and provider on two sites: the answer is a POST from another site,
// which brings only cookies that were made for that, and must be taken only in the browser that asked for it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import { keyPair } from '../../examples/demo/acme/keys.mjs';
import { metadata } from '../../examples/demo/acme/saml.mjs';
import { demoOnSites } from './sites.mjs';
import {
  chooseProvider, commandLine, fitsTheScreen, journey, noFaults, personAt, PHONE, pickPerson, screenshot, whoNotesSees,
} from './support.mjs';

const HOSTS = { broker: 'id.broker.test', acme: 'idp.acme.test', notes: 'notes.app.test' };
const ELSEWHERE = 'elsewhere.test';

/** Acme alone, known by a file: a broker whose own host is not this machine reaches nobody on this machine. */
const acmeByFile = (text) => {
  const [acme] = /\[\[provider\]\]\nid = "acme"[\s\S]*/.exec(text);
  return acme
    .replace(/metadata_url = .*/, 'metadata_file = "file:acme.xml"')
    .replace(/trust_metadata_url = true\n/, '')
    .replace(/allow_loopback = true\nca_file = .*\n/, '');
};

// What a broker that is no development must have: a secret that nobody guesses, and a key that is there.
process.env.NOTES_CLIENT_SECRET = randomBytes(32).toString('base64url');

/** The broker as it stands on the internet, with Notes as its only client. */
const atWork = (text) => {
  const [clients, rest] = text.split('# An app in the browser or on the desktop');
  return clients.replace('development = true\n', '').replace('file:secrets/demo-app', 'env:NOTES_CLIENT_SECRET')
    + rest.slice(rest.indexOf('# --- Who may do what'));
};

/** The master key; and Acme's metadata, before Acme is up: it finds the same key in its folder. */
async function prepare({ dataDir, addresses }) {
  const keys = await keyPair(path.join(dataDir, 'acme'));
  const { acme } = addresses;
  writeFileSync(path.join(dataDir, 'master.key'), randomBytes(32).toString('base64'), { mode: 0o600 });
  writeFileSync(path.join(dataDir, 'acme.xml'), metadata({ entityId: `${acme}/metadata`, sso: `${acme}/sso`, slo: `${acme}/slo`, keys }));
}

/** A site of nobody's, which serves one page. */
async function siteElsewhere(context, tls) {
  let markup = '';
  const server = https.createServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) }, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(markup);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => { server.close(); server.closeAllConnections(); });
  return { url: `https://${ELSEWHERE}:${server.address().port}/`, serve: (text) => { markup = text; } };
}

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

/** A page that posts these fields by itself. */
const posting = (action, fields) => `<!doctype html><form method="post" action="${escape(action)}">${
  [...fields].map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`).join('')
}</form><script>document.forms[0].submit()</script>`;

describe('SAML on two sites', () => {
  const ending = [];
  const context = { after: (step) => ending.unshift(step) };
  let demo;
  let browser;
  let elsewhere;
  let callback;
  before(async () => {
    const all = await demoOnSites(context, {
      hosts: HOSTS, others: [ELSEWHERE], without: ['globex', 'friendbook'], providers: acmeByFile, settings: atWork,
      prepare,
    });
    ({ demo, browser } = all);
    elsewhere = await siteElsewhere(context, all.tls);
    callback = `${demo.addresses.broker}/upstream/acme/callback`;
  });
  after(async () => {
    for (const step of ending) await step();
  });

  const cookiesOf = (page) => page.context().cookies(demo.addresses.broker);
  const sessionOf = async (page) => (await cookiesOf(page)).find(({ name }) => name === '__Host-cs_session');

  /** To the page of Acme where people choose. */
  async function beginAtNotes(page, where = '/notes/42') {
    await page.goto(`${demo.addresses.notes}${where}`);
    await page.waitForURL((url) => [demo.addresses.broker, demo.addresses.acme].includes(url.origin));
    if (page.url().startsWith(demo.addresses.broker)) await chooseProvider(page, 'acme');
    await page.waitForURL(`${demo.addresses.acme}/**`);
  }

  /** Signs in, but keeps the answer from reaching the broker: its fields. */
  async function holdBack(page, user) {
    let held;
    await page.route(callback, async (route) => {
      held = new URLSearchParams(route.request().postData());
      await route.abort();
    });
    await pickPerson(page, user);
    for (let tries = 0; !held; tries += 1) {
      assert.ok(tries < 200, 'no answer was posted');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await page.unroute(callback);
    return held;
  }

  journey('the answer comes as a POST of another site, with the cookie that was made for it; the session stays', async () => {
    const page = await personAt(browser);
    await beginAtNotes(page);
    const pending = (await cookiesOf(page)).filter(({ sameSite }) => sameSite === 'None');
    const names = pending.map(({ name }) => name.slice(0, '__Host-cs_flow'.length)).sort();
    assert.deepEqual(names, ['__Host-cs_brow', '__Host-cs_flow'], 'the sign-in travels between sites, and a name that opens nothing');
    assert.equal(pending.every(({ secure, httpOnly }) => secure && httpOnly), true);
    let sent;
    page.on('request', (request) => { if (request.url() === callback) sent = request; });
    await pickPerson(page, 'alice');
    await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    const headers = await sent.allHeaders();
    assert.equal(sent.method(), 'POST');
    assert.equal(headers.origin, 'null', 'Acme tells other sites nothing of itself');
    assert.equal(headers['sec-fetch-site'], 'cross-site');
    const alice = await whoNotesSees(page);
    assert.deepEqual([alice.name, alice.groups], ['Alice Ahlgren', ['engineers']]);

    const session = await sessionOf(page);
    assert.equal(session.sameSite, 'Lax');
    assert.equal(session.secure && session.httpOnly, true);
    const left = (await cookiesOf(page)).filter(({ sameSite }) => sameSite === 'None').map(({ name }) => name);
    assert.deepEqual(left, ['__Host-cs_browser'], 'what was for the answer is gone');
    await page.context().clearCookies({ domain: HOSTS.notes });
    const seen = [];
    page.on('framenavigated', (frame) => seen.push(frame.url()));
    await page.goto(`${demo.addresses.notes}/notes/42`);
    await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    assert.equal((await whoNotesSees(page)).sub, alice.sub);
    assert.equal(seen.some((url) => url.startsWith(demo.addresses.acme)), false, 'nobody was asked again');
    noFaults(page);
  });

  journey('two tabs that left before anybody was signed in end in one session, of which signing out is the end', async () => {
    const sessions = () => JSON.parse(commandLine(demo, 'session', 'list', 'alice@acme.example', '--json')).length;
    const before = sessions();
    const page = await personAt(browser);
    const other = await page.context().newPage();
    for (const tab of [page, other]) await beginAtNotes(tab);
    for (const tab of [page, other]) {
      await pickPerson(tab, 'alice');
      await tab.waitForURL(`${demo.addresses.notes}/notes/42`);
    }
    assert.equal(sessions(), before + 1);
    await other.locator('#sign-out').click();
    await other.locator('#signed-out').waitFor();
    assert.equal(sessions(), before);
    const names = (await cookiesOf(page)).map(({ name }) => name);
    assert.equal(names.some((name) => /session|browser/.test(name)), false, names.join());
  });

  for (const [state, arrange] of Object.entries({
    'who has no sign-in of their own': async () => {},
    'who is about to sign in': async (page) => { await beginAtNotes(page); },
    'who is signed in': async (page) => {
      await beginAtNotes(page);
      await pickPerson(page, 'alice');
      await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    },
  })) {
    journey(`saml_077 an answer that was made for an attacker is refused in the browser of somebody ${state}`, async () => {
      const attacker = await personAt(browser);
      await beginAtNotes(attacker);
      const answer = await holdBack(attacker, 'mallory');
      assert.ok(answer.get('SAMLResponse') && answer.get('RelayState'));

      const victim = await personAt(browser, { viewport: PHONE });
      await arrange(victim);
      const sessionBefore = (await sessionOf(victim))?.value;
      const there = victim.url();
      const trap = await victim.context().newPage();
      elsewhere.serve(posting(callback, answer));
      const refused = trap.waitForResponse((response) => response.url() === callback && response.request().method() === 'POST');
      await trap.goto(elsewhere.url);
      const response = await refused;
      assert.ok(response.status() >= 400 && response.status() < 500, `${response.status()}`);
      await trap.locator('main').waitFor();
      await fitsTheScreen(trap);
      await screenshot(trap, `saml-077-${state.replaceAll(' ', '-')}`);
      const reference = (await trap.locator('.reference code').textContent()).trim();
      assert.match(commandLine(demo, 'trace', reference), /reason +browser_binding/);
      assert.equal((await sessionOf(victim))?.value, sessionBefore, 'the session is as it was');
      await trap.close();

      if (state === 'who is about to sign in') {
        assert.equal(victim.url(), there);
        await pickPerson(victim, 'bob');
        await victim.waitForURL(`${demo.addresses.notes}/notes/42`);
        assert.equal((await whoNotesSees(victim)).name, 'Bob Baptiste');
      }

      // The twin: in the browser that asked, the very same answer is good; nothing was used up.
      elsewhere.serve(posting(callback, answer));
      await attacker.goto(elsewhere.url);
      await attacker.waitForURL(`${demo.addresses.notes}/notes/42`);
      assert.equal((await whoNotesSees(attacker)).name, 'Mallory Marsh');
      // And once only.
      elsewhere.serve(posting(callback, answer));
      await attacker.goto(elsewhere.url);
      await attacker.waitForURL(`${demo.addresses.broker}/**`);
      noFaults(victim);
    });
  }

  journey('sign-out at the app goes through Acme and comes back', async () => {
    const page = await personAt(browser);
    await beginAtNotes(page);
    await pickPerson(page, 'carol');
    await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    const passed = [];
    page.on('request', (request) => { if (request.isNavigationRequest()) passed.push(request.url()); });
    await page.locator('#sign-out').click();
    await page.locator('#signed-out').waitFor();
    const through = passed.findIndex((url) => url.startsWith(`${demo.addresses.acme}/slo`));
    assert.ok(through >= 0, passed.join('\n'));
    assert.ok(passed.slice(through).some((url) => url.startsWith(`${demo.addresses.broker}/upstream/acme/logout`)), passed.join('\n'));
    assert.equal(await sessionOf(page), undefined);
    await page.goto(demo.addresses.acme);
    await page.getByText('Nobody is signed in to Acme').waitFor();
    noFaults(page);
  });

  journey('sign-out at Acme ends the session here, through the browser', async () => {
    const page = await personAt(browser);
    await beginAtNotes(page);
    await pickPerson(page, 'carol');
    await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    const other = await personAt(browser);
    await beginAtNotes(other);
    await pickPerson(other, 'bob');
    await other.waitForURL(`${demo.addresses.notes}/notes/42`);

    await page.goto(demo.addresses.acme);
    await page.getByRole('button', { name: /Sign out of Acme/ }).click();
    await page.getByText('You are signed out of Acme, and of Countersign.').waitFor();
    await page.context().clearCookies({ domain: HOSTS.notes });
    await beginAtNotes(page);
    await other.context().clearCookies({ domain: HOSTS.notes });
    await other.goto(`${demo.addresses.notes}/notes/42`);
    await other.waitForURL(`${demo.addresses.notes}/notes/42`);
    assert.equal((await whoNotesSees(other)).name, 'Bob Baptiste', 'nobody else is signed out');
    noFaults(page);
  });
});
