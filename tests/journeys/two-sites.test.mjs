// The journey over TLS, with broker, provider and app on sites of their own.

import assert from 'node:assert/strict';
import { cancelAtProvider, chooseProvider, journey, noFaults, personAt, pickPerson, screenshot, whoNotesSees } from './support.mjs';
import { demoOnSites } from './sites.mjs';

// The broker may reach providers on this very machine only while its own host is a loopback one; `localhost` is
// as much a site of its own as the others.
const HOSTS = {
  broker: 'localhost', globex: 'globex.test', friendbook: 'friendbook.test', acme: 'acme.test', notes: 'notes.test',
};

journey('over TLS on sites of their own: sign in, cancel and choose again, sign out', async (context) => {
  const { demo, browser } = await demoOnSites(context, { hosts: HOSTS });
  const page = await personAt(browser);

  await page.goto(`${demo.addresses.notes}/notes/42`);
  await page.waitForURL(`${demo.addresses.broker}/**`);
  const cookies = await page.context().cookies(demo.addresses.broker);
  assert.ok(cookies.length > 0, 'the sign-in is bound to the browser by a cookie');
  for (const { name, secure, httpOnly } of cookies) {
    assert.match(name, /^__Host-/);
    assert.equal(secure, true, name);
    assert.equal(httpOnly, true, name);
  }
  await chooseProvider(page, 'friendbook');
  await cancelAtProvider(page);
  await page.waitForURL(`${demo.addresses.broker}/**`);
  await chooseProvider(page, 'globex');
  await page.waitForURL(`${demo.addresses.globex}/**`);
  await pickPerson(page, 'alice');
  await page.waitForURL(`${demo.addresses.notes}/notes/42`);
  const alice = await whoNotesSees(page);
  assert.deepEqual(alice.groups, ['engineers']);
  assert.deepEqual(alice.permissions, ['notes:write']);
  await screenshot(page, 'two-sites-alice');

  const session = (await page.context().cookies(demo.addresses.broker)).find(({ name }) => name === '__Host-cs_session');
  assert.ok(session, 'the session cookie has its prefix');
  assert.equal(session.secure && session.httpOnly, true);

  await page.locator('#sign-out').click();
  await page.locator('#signed-out').waitFor();
  await page.locator('#sign-in').click();
  await page.waitForURL(`${demo.addresses.broker}/**`);
  await chooseProvider(page, 'friendbook');
  await pickPerson(page, 'alice');
  assert.notEqual((await whoNotesSees(page)).sub, alice.sub);
  noFaults(page);
});
