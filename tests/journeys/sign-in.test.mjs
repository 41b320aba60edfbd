// People who sign in to Notes through the broker, by Globex and by Friendbook.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import {
  browserFor, cancelAtProvider, chooseProvider, commandLine, demoFor, DESKTOP, fitsTheScreen, journey, noFaults,
  personAt, PHONE, pickPerson, proveAddress, screenshot, whoNotesSees,
} from './support.mjs';

describe('sign-in to Notes', () => {
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

  const notesAt = (path = '/') => `${demo.addresses.notes}${path}`;
  const atNotes = (path = '/') => (url) => url.href === notesAt(path);

  async function signIn(page, provider, user) {
    await page.goto(notesAt());
    await page.locator('#sign-in').click();
    await chooseProvider(page, provider);
    await pickPerson(page, user);
    return whoNotesSees(page);
  }

  for (const [device, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    for (const colorScheme of ['light', 'dark']) {
      journey(`by Globex on a ${device}, ${colorScheme}: groups and roles, then sign out`, async () => {
        const page = await personAt(browser, { viewport, colorScheme });
        const look = async (name) => {
          await fitsTheScreen(page);
          await screenshot(page, `${name}-${device}-${colorScheme}`);
        };
        await page.goto(notesAt());
        await look('notes-welcome');
        await page.locator('#sign-in').click();
        await page.waitForURL(`${demo.addresses.broker}/**`);
        await look('chooser');
        await chooseProvider(page, 'globex');
        await page.waitForURL(`${demo.addresses.globex}/**`);
        await look('globex');
        await pickPerson(page, 'alice');
        const alice = await whoNotesSees(page);
        await look('notes-alice');
        assert.equal(alice.name, 'Alice Ahlgren');
        assert.deepEqual(alice.groups, ['engineers']);
        assert.deepEqual(alice.roles, ['editor']);
        assert.deepEqual(alice.permissions, ['notes:write']);
        assert.equal(await page.locator('#email').textContent(), 'alice@globex.example (verified)');

        await page.locator('#sign-out').click();
        await page.locator('#signed-out').waitFor();
        await look('notes-signed-out');
        await page.goto(notesAt('/notes/42'));
        await page.waitForURL(`${demo.addresses.broker}/**`);
        noFaults(page);
      });
    }
  }

  journey('a browser that lost its session signs out all the same, and is not told whose it was', async () => {
    const sessions = () => JSON.parse(commandLine(demo, 'session', 'list', 'alice@globex.example', '--json')).length;
    for (const [device, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
      const page = await personAt(browser, { viewport });
      await signIn(page, 'globex', 'alice');
      const before = sessions();
      await page.context().clearCookies({ name: 'cs_session' });
      await page.goto(`${demo.addresses.broker}/logout`);
      await fitsTheScreen(page);
      await screenshot(page, `logout-unnamed-${device}`);
      assert.doesNotMatch(await page.locator('body').innerText(), /alice|ahlgren/i);
      await page.locator('form button').first().click();
      await page.locator('h1').waitFor();
      await screenshot(page, `logout-unnamed-done-${device}`);
      assert.equal(sessions(), before - 1);
      assert.deepEqual((await page.context().cookies()).filter(({ name }) => /cs_(session|browser)/.test(name)), []);
      noFaults(page);
    }
  });

  journey('with the permission one writes a note; without it the form is off', async () => {
    const alice = await personAt(browser);
    await signIn(alice, 'globex', 'alice');
    await alice.locator('#text').fill('Bring <b>cake</b>');
    await alice.locator('#save').click();
    assert.equal(await alice.locator('#note p').textContent(), 'Bring <b>cake</b>');

    const carol = await personAt(browser);
    const seen = await signIn(carol, 'globex', 'carol');
    assert.deepEqual([seen.groups, seen.roles, seen.permissions], [[], [], []]);
    assert.equal(await carol.locator('#save').isDisabled(), true);
    await screenshot(carol, 'notes-carol');
  });

  journey('the page that was wanted first is resumed', async () => {
    const page = await personAt(browser);
    await page.goto(notesAt('/notes/42'));
    await chooseProvider(page, 'globex');
    await pickPerson(page, 'bob');
    await page.waitForURL(atNotes('/notes/42'));
    assert.deepEqual((await whoNotesSees(page)).groups, ['engineers']);
    noFaults(page);
  });

  journey('by Friendbook: other accounts than by Globex, whatever address they claim', async () => {
    const globexAlice = await signIn(await personAt(browser), 'globex', 'alice');
    const page = await personAt(browser);
    const alice = await signIn(page, 'friendbook', 'alice');
    await screenshot(page, 'notes-friendbook-alice');
    noFaults(page);
    assert.equal(alice.name, 'Alice Ahlgren');
    assert.deepEqual([alice.groups, alice.roles, alice.permissions], [[], [], []]);
    assert.doesNotMatch((await page.locator('#email').textContent()), /\(verified\)/);

    const mallory = await signIn(await personAt(browser), 'friendbook', 'mallory');
    assert.deepEqual(mallory.groups, []);
    const bobsPage = await personAt(browser);
    await bobsPage.goto(notesAt());
    await bobsPage.locator('#sign-in').click();
    await chooseProvider(bobsPage, 'friendbook');
    await pickPerson(bobsPage, 'bob');
    await proveAddress(bobsPage, demo, 'bob@example.org');
    const bob = await whoNotesSees(bobsPage);
    assert.equal(await bobsPage.locator('#email').textContent(), 'bob@example.org (verified)');
    const subjects = [globexAlice.sub, alice.sub, mallory.sub, bob.sub];
    assert.equal(new Set(subjects).size, subjects.length, 'four people, four accounts');

    assert.equal(new URL(page.url()).hash, '', 'what Friendbook left in the address has not come along');

    await page.locator('#sign-out').click();
    await page.locator('#signed-out').waitFor();
    assert.equal((await signIn(page, 'friendbook', 'alice')).sub, alice.sub, 'the subject is stable');
    noFaults(page);
  });

  journey('a person who cancels at Globex gets a page, and takes the other way', async () => {
    const page = await personAt(browser, { viewport: PHONE });
    await page.goto(notesAt('/notes/42'));
    await chooseProvider(page, 'globex');
    await cancelAtProvider(page);
    await page.waitForURL(`${demo.addresses.broker}/**`);
    await fitsTheScreen(page);
    await screenshot(page, 'cancelled-phone');
    const reference = (await page.locator('.reference code').textContent()).trim();
    assert.match(commandLine(demo, 'trace', reference), /oidc\.cancelled/);
    await chooseProvider(page, 'friendbook');
    await pickPerson(page, 'carol');
    await page.waitForURL(atNotes('/notes/42'));
    assert.equal((await whoNotesSees(page)).name, 'Carol Castellanos');
    noFaults(page);
  });

  journey('without JavaScript everything works', async () => {
    const page = await personAt(browser, { javaScriptEnabled: false });
    assert.deepEqual((await signIn(page, 'globex', 'bob')).groups, ['engineers']);
    await page.locator('#sign-out').click();
    await page.locator('#signed-out').waitFor();
  });

  journey('a second app sign-in in the same browser asks nothing', async () => {
    const page = await personAt(browser);
    const first = await signIn(page, 'globex', 'alice');
    await page.context().clearCookies({ name: /^notes_/ });
    await page.goto(notesAt('/notes/42'));
    await page.waitForURL(atNotes('/notes/42'));
    assert.equal((await whoNotesSees(page)).sub, first.sub);
    noFaults(page);
  });

  journey('after signing out, Globex still knows the person and asks nothing', async () => {
    const page = await personAt(browser);
    const first = await signIn(page, 'globex', 'alice');
    await page.locator('#sign-out').click();
    await page.locator('#signed-out').waitFor();
    await page.locator('#sign-in').click();
    await chooseProvider(page, 'globex');
    assert.equal((await whoNotesSees(page)).sub, first.sub);
    noFaults(page);
  });

  journey('two tabs, begun together and finished one after the other', async () => {
    const first = await personAt(browser);
    const second = await first.context().newPage();
    second.faults = first.faults;
    await first.goto(notesAt('/notes/1'));
    await second.goto(notesAt('/notes/42'));
    await chooseProvider(first, 'globex');
    await chooseProvider(second, 'globex');
    await pickPerson(second, 'bob');
    await second.waitForURL(atNotes('/notes/42'));
    await pickPerson(first, 'bob');
    await first.waitForURL(atNotes('/notes/1'));
    noFaults(first);
  });

  journey('Back after a finished sign-in leads to no dead end', async () => {
    const page = await personAt(browser);
    await page.goto(notesAt('/notes/42'));
    await chooseProvider(page, 'globex');
    await page.waitForURL(`${demo.addresses.globex}/**`);
    const picker = page.url();
    await pickPerson(page, 'bob');
    await page.waitForURL(atNotes('/notes/42'));
    await page.goto(picker);
    await page.waitForURL((url) => url.origin !== demo.addresses.globex);
    await screenshot(page, 'back-after-sign-in');
    if (page.url().startsWith(demo.addresses.broker)) {
      await page.locator('main a.primary, main a.button').first().click();
    }
    await page.waitForURL(`${demo.addresses.notes}/**`);
    noFaults(page);
  });
});

/** A demo of which something is out of order, and a person with a phone. */
async function demoAndPhone(context, options) {
  const demo = await demoFor(context, options);
  const page = await personAt(await browserFor(context), { viewport: PHONE });
  return { demo, page };
}

/** The page of the broker on which a person is told of a failure, and takes the other way. */
async function takeTheOtherWay(page, demo, name) {
  await page.locator('button[name="provider"][value="friendbook"]').waitFor();
  assert.ok(page.url().startsWith(demo.addresses.broker));
  await fitsTheScreen(page);
  await screenshot(page, name);
  await chooseProvider(page, 'friendbook');
  await pickPerson(page, 'mallory');
  await page.waitForURL(`${demo.addresses.notes}/notes/42`);
  noFaults(page);
}

journey('a provider that is down: a page with the other ways, and they work', async (context) => {
  const { demo, page } = await demoAndPhone(context, { without: ['globex'] });
  await page.goto(`${demo.addresses.notes}/notes/42`);
  await chooseProvider(page, 'globex');
  await takeTheOtherWay(page, demo, 'provider-down-phone');
});

for (const fault of ['token-error', 'token-hang']) {
  journey(`a provider out of order (${fault}): the same`, async (context) => {
    const { demo, page } = await demoAndPhone(context, { env: { GLOBEX_FAULT: fault } });
    await page.goto(`${demo.addresses.notes}/notes/42`);
    await chooseProvider(page, 'globex');
    await pickPerson(page, 'alice');
    await takeTheOtherWay(page, demo, `provider-${fault}-phone`);
  });
}
