// People who sign in to Notes by Acme, a SAML identity provider: its answers come by POST from another site.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import {
  browserFor, cancelAtProvider, chooseProvider, commandLine, demoFor, DESKTOP, fitsTheScreen, journey, noFaults,
  personAt, PHONE, pickPerson, screenshot, whoNotesSees,
} from './support.mjs';

/** Signs in to Notes by a provider whose page is shown. */
async function signIn(page, demo, user, provider = 'acme') {
  await page.goto(demo.addresses.notes);
  await page.locator('#sign-in').click();
  await chooseProvider(page, provider);
  await pickPerson(page, user);
  return whoNotesSees(page);
}

/** The reference id on the page that refuses, and what the operator finds under it. */
async function traceOf(page, demo) {
  const reference = (await page.locator('.reference code').textContent()).trim();
  return commandLine(demo, 'trace', reference);
}

async function whoAcmeKnows(page, demo) {
  const other = await page.context().newPage();
  await other.goto(demo.addresses.acme);
  const text = await other.locator('main').innerText();
  await other.close();
  return /signed in to Acme as ([\w ]+)\./.exec(text)?.[1];
}

/** Whether Notes, asked anew, must ask the broker, and the broker the person. */
async function isAskedAgain(page, demo) {
  await page.context().clearCookies({ name: /^notes_/ });
  await page.goto(`${demo.addresses.notes}/notes/42`);
  await page.waitForURL((url) => url.href.startsWith(demo.addresses.broker) || url.pathname === '/notes/42');
  return page.url().startsWith(demo.addresses.broker);
}

describe('sign-in to Notes by Acme', () => {
  const ending = [];
  const context = { after: (step) => ending.unshift(step) };
  let demo;
  let browser;
  before(async () => {
    demo = await demoFor(context);
    browser = await browserFor(context);
  });
  after(async () => {
    for (const step of ending) await step();
  });

  for (const [device, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    for (const colorScheme of ['light', 'dark']) {
      journey(`on a ${device}, ${colorScheme}: attributes become groups and roles; then sign out`, async () => {
        const page = await personAt(browser, { viewport, colorScheme });
        const look = async (name) => {
          await fitsTheScreen(page);
          await screenshot(page, `${name}-${device}-${colorScheme}`);
        };
        await page.goto(demo.addresses.notes);
        await page.locator('#sign-in').click();
        await page.waitForURL(`${demo.addresses.broker}/**`);
        await look('chooser-with-acme');
        await chooseProvider(page, 'acme');
        await page.waitForURL(`${demo.addresses.acme}/**`);
        await look('acme');
        await pickPerson(page, 'alice');
        const alice = await whoNotesSees(page);
        await look('notes-acme-alice');
        assert.equal(alice.name, 'Alice Ahlgren');
        assert.deepEqual([alice.groups, alice.roles, alice.permissions], [['engineers'], ['editor'], ['notes:write']]);
        assert.equal(await page.locator('#email').textContent(), 'alice@acme.example (verified)');

        assert.equal(await whoAcmeKnows(page, demo), 'Alice Ahlgren');
        await page.locator('#sign-out').click();
        await page.locator('#signed-out').waitFor();
        assert.equal(await whoAcmeKnows(page, demo), undefined, 'signed out at Acme too');
        assert.equal(await isAskedAgain(page, demo), true);
        noFaults(page);
      });
    }
  }

  journey('the same person is known again; others, and those of other providers, have accounts of their own', async () => {
    const alice = await signIn(await personAt(browser), demo, 'alice');
    assert.equal((await signIn(await personAt(browser), demo, 'alice')).sub, alice.sub);
    const carol = await signIn(await personAt(browser), demo, 'carol');
    assert.deepEqual([carol.groups, carol.roles, carol.permissions], [[], [], []]);
    const globex = await signIn(await personAt(browser), demo, 'alice', 'globex');
    assert.equal(new Set([alice.sub, carol.sub, globex.sub]).size, 3);
  });

  journey('without JavaScript a button leads on', async () => {
    const page = await personAt(browser, { javaScriptEnabled: false, viewport: PHONE });
    await page.goto(`${demo.addresses.notes}/notes/42`);
    await chooseProvider(page, 'acme');
    await pickPerson(page, 'bob');
    await fitsTheScreen(page);
    await screenshot(page, 'acme-post-phone');
    await page.getByRole('button', { name: 'Continue to Countersign' }).click();
    await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    assert.deepEqual((await whoNotesSees(page)).groups, ['engineers']);
  });

  journey('a person who cancels at Acme gets a page, and takes the other way', async () => {
    const page = await personAt(browser, { viewport: PHONE });
    await page.goto(`${demo.addresses.notes}/notes/42`);
    await chooseProvider(page, 'acme');
    await cancelAtProvider(page);
    await page.waitForURL(`${demo.addresses.broker}/**`);
    await fitsTheScreen(page);
    await screenshot(page, 'acme-cancelled-phone');
    assert.match(await traceOf(page, demo), /AuthnFailed/);
    await chooseProvider(page, 'friendbook');
    await pickPerson(page, 'carol');
    await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    noFaults(page);
  });

  journey('who signs out at Acme is signed out here', async () => {
    const page = await personAt(browser);
    await signIn(page, demo, 'carol');
    await page.goto(demo.addresses.acme);
    await screenshot(page, 'acme-home');
    await page.getByRole('button', { name: /Sign out of Acme/ }).click();
    await page.getByText('You are signed out of Acme, and of Countersign.').waitFor();
    await screenshot(page, 'acme-signed-out');
    assert.equal(await isAskedAgain(page, demo), true);
    noFaults(page);
  });

  journey('an answer that is sent twice leads to no second sign-in', async () => {
    const page = await personAt(browser);
    let posted;
    page.on('request', (request) => {
      if (request.method() === 'POST' && request.url().endsWith('/upstream/acme/callback')) posted = request.postData();
    });
    await signIn(page, demo, 'bob');
    assert.ok(posted);
    await page.context().clearCookies();
    const answer = await page.context().request.post(`${demo.addresses.broker}/upstream/acme/callback`, {
      data: posted, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: demo.addresses.acme }, maxRedirects: 0,
    });
    assert.ok(answer.status() >= 400, `${answer.status()}`);
    assert.equal((await page.context().cookies(demo.addresses.broker)).some(({ name }) => name === 'cs_session'), false);
  });
});

for (const [fault, reason] of [['other-key', /saml\.sig\./], ['other-audience', /saml\.audience/]]) {
  journey(`an answer that does not hold (${fault}) is refused on a page with a reference`, async (context) => {
    const demo = await demoFor(context, { env: { ACME_FAULT: fault } });
    const page = await personAt(await browserFor(context), { viewport: PHONE });
    await page.goto(`${demo.addresses.notes}/notes/42`);
    await chooseProvider(page, 'acme');
    await pickPerson(page, 'alice');
    await page.locator('.reference code').waitFor();
    assert.ok(page.url().startsWith(demo.addresses.broker));
    await fitsTheScreen(page);
    await screenshot(page, `acme-${fault}-phone`);
    assert.match(await traceOf(page, demo), reason);
    assert.equal((await page.context().cookies(demo.addresses.broker)).some(({ name }) => name === 'cs_session'), false);
    await chooseProvider(page, 'globex');
    await pickPerson(page, 'alice');
    await page.waitForURL(`${demo.addresses.notes}/notes/42`);
    noFaults(page);
  });
}

journey('when Acme gives people other names, their proved addresses lead them to their accounts', async (context) => {
  const demo = await demoFor(context);
  const browser = await browserFor(context);
  const before = await signIn(await personAt(browser), demo, 'alice');
  const file = path.join(demo.dataDir, 'providers.toml');
  const changed = readFileSync(file, 'utf8').replace('nameid_format = "persistent"', 'nameid_format = "email"');
  writeFileSync(file, changed);
  // The broker takes a changed file over by itself; its metadata says which names it asks for.
  for (let tries = 0; ; tries += 1) {
    const metadata = await (await fetch(`${demo.addresses.broker}/upstream/acme/metadata`)).text();
    if (metadata.includes('nameid-format:emailAddress')) break;
    assert.ok(tries < 100, 'the changed file was not taken over');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const page = await personAt(browser);
  assert.equal((await signIn(page, demo, 'alice')).sub, before.sub);
  // Friendbook does not prove addresses: whoever claims one there is led to no account by it.
  const other = await signIn(await personAt(browser), demo, 'mallory', 'friendbook');
  assert.notEqual(other.sub, before.sub);
  noFaults(page);
});
