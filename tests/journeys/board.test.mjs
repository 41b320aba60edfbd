// Board, the example of a single-page app with a token handler: people use it, its page never holds a token, and
// pages of other origins can do nothing in a person's name.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { start } from '../../examples/bff/start.mjs';
import {
  browserFor, chooseProvider, demoFor, DESKTOP, fitsTheScreen, journey, noFaults, personAt, PHONE, pickPerson, screenshot,
} from './support.mjs';

const SESSION = '__Host-board-session';
const TOKEN = /eyJ[\w-]+\.[\w-]+\.[\w-]*|cs(rt|ac|at|st)_[\w-]{20,}/;

/** Board at a demo of its own; `lifetime` is that of its access tokens. */
async function boardFor(context, { lifetime = '5m' } = {}) {
  const demo = await demoFor(context, {
    rewrite: (name, text) => text.replace('id = "demo-board"', `id = "demo-board"\naccess_token_lifetime = "${lifetime}"`),
  });
  const port = Number(new URL(demo.addresses.broker).port) + 5;
  const board = await start({ ISSUER: demo.addresses.broker, PORT: String(port) });
  context.after(() => board.stop());
  return { demo, board };
}

async function signIn(page, board, person) {
  await page.goto(board.url);
  await page.locator('#sign-in').click();
  await chooseProvider(page, 'globex');
  await pickPerson(page, person);
  await page.locator('#board').waitFor();
}

const isSignedIn = (page) => page.evaluate(async () => (await fetch('/bff/who', { headers: { 'x-board': '1' } })).status === 200);
const pins = (page) => page.locator('#pins li p').allTextContents();

/** Everything that a script of the page could find. */
const everything = () => JSON.stringify([
  document.cookie, location.href, document.referrer, document.documentElement.outerHTML,
  { ...localStorage }, { ...sessionStorage }, Object.keys(window).map((name) => { try { return String(window[name]); } catch { return ''; } }),
  performance.getEntries().map((entry) => entry.name), history.state,
]);

journey('people use Board on a phone and at a desk, and its page never holds a token', async (context) => {
  const { board } = await boardFor(context);
  const browser = await browserFor(context);
  const page = await personAt(browser);
  const answers = [];
  page.on('response', (response) => {
    // The body of a redirect is nobody's to read; its address goes to the browser and not to scripts.
    if (!response.url().startsWith(board.url) || response.status() === 303) return;
    const body = response.text().catch(() => 'not readable any more: the page moved on');
    answers.push(Promise.all([response.url(), body, response.allHeaders()]));
  });

  await page.goto(board.url);
  await page.locator('#welcome').waitFor();
  await screenshot(page, 'board-welcome');
  await signIn(page, board, 'alice');
  assert.equal(page.url(), `${board.url}/`, 'no code is left in the address');
  assert.equal(await page.locator('#name').textContent(), 'Alice Ahlgren');
  await page.locator('#text').fill('Lunch is at noon <b>today</b>.');
  await page.locator('#pin').click();
  await page.locator('#pins li.mine').waitFor();
  assert.equal((await pins(page))[0], 'Lunch is at noon <b>today</b>.');
  await fitsTheScreen(page);
  await screenshot(page, 'board-desktop-light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await screenshot(page, 'board-desktop-dark');
  await page.setViewportSize(PHONE);
  await fitsTheScreen(page);
  await screenshot(page, 'board-phone-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await screenshot(page, 'board-phone-light');
  await page.setViewportSize(DESKTOP);

  const seen = await page.evaluate(everything);
  assert.ok(seen.includes('Lunch is at noon'), 'the look into the page sees it');
  assert.doesNotMatch(seen, TOKEN);
  assert.equal(await page.evaluate(() => document.cookie), '');
  assert.equal(await page.evaluate(async () => (await indexedDB.databases()).length), 0);
  const cookies = (await page.context().cookies(board.url)).filter(({ name }) => /board/.test(name));
  assert.deepEqual(cookies.map(({ name, httpOnly, secure, sameSite, path }) => [name, httpOnly, secure, sameSite, path]), [[SESSION, true, true, 'Strict', '/']]);
  const got = await Promise.all(answers);
  assert.ok(got.some(([, body]) => body.includes('Alice Ahlgren')) && got.some(([, body]) => body.includes('Lunch is at noon')));
  for (const [url, body, headers] of got) {
    assert.doesNotMatch(body, TOKEN, url);
    assert.doesNotMatch(JSON.stringify(headers), TOKEN, url);
  }
  noFaults(page);

  // Reading is for everybody who is signed in, pinning for those with the permission; the API decides.
  const carol = await personAt(browser, { viewport: PHONE });
  await signIn(carol, board, 'carol');
  assert.equal(await carol.locator('#hint').isVisible(), true);
  assert.equal(await carol.locator('#pin').isDisabled(), true);
  const refused = await carol.evaluate(async () => (await fetch('/bff/api/pins', {
    method: 'POST', headers: { 'x-board': '1' }, body: JSON.stringify({ text: 'mine' }),
  })).status);
  assert.equal(refused, 403);
  noFaults(carol);
});

journey('signing out of Board signs out at the broker, and the cookie of before opens nothing', async (context) => {
  const { board } = await boardFor(context);
  const browser = await browserFor(context);
  const page = await personAt(browser);
  await signIn(page, board, 'alice');
  const cookies = await page.context().cookies(board.url);

  const addresses = [];
  page.on('request', (request) => addresses.push(request.url()));
  await page.locator('#sign-out').click();
  await page.locator('#welcome').waitFor();
  assert.equal(new URL(page.url()).origin, board.url);
  assert.ok(addresses.some((address) => address.includes('id_token_hint=')), 'it went by the broker');
  assert.doesNotMatch(await page.evaluate(everything), TOKEN);

  await page.context().addCookies(cookies.filter(({ name }) => name === SESSION));
  assert.equal(await isSignedIn(page), false);
  await page.locator('#sign-in').click();
  await page.locator('button[name="provider"]').first().waitFor();
  noFaults(page);
});

journey('whoever signs out of another app is signed out of Board by the back channel', async (context) => {
  const { demo, board } = await boardFor(context);
  const browser = await browserFor(context);
  const page = await personAt(browser);
  await signIn(page, board, 'alice');
  const other = await page.context().newPage();
  await other.goto(demo.addresses.notes);
  await other.locator('#sign-in').click();
  await other.locator('#sub').waitFor();
  assert.equal(await isSignedIn(page), true);
  await other.locator('#sign-out').click();
  await other.locator('#sign-in').waitFor();
  // Asked again and again from here: `waitForFunction` would take the promise of an answer for a yes.
  for (let tries = 0; await isSignedIn(page); tries += 1) {
    assert.ok(tries < 150, 'Board was told by the back channel');
    await page.waitForTimeout(100);
  }
  // The page notices with the next thing that the person does, and says so.
  await page.locator('#text').fill('Too late.');
  await page.locator('#pin').click();
  await page.locator('#welcome').waitFor();
  assert.match(await page.locator('#message').textContent(), /session has ended/i);
  await screenshot(page, 'board-session-ended');
  noFaults(page);
});

journey('tokens are refreshed on the server while the page knows nothing of it', async (context) => {
  // No longer than the time ahead of its end at which a token is refreshed: every request needs a new one.
  const { demo, board } = await boardFor(context, { lifetime: '30s' });
  const browser = await browserFor(context);
  const page = await personAt(browser);
  await signIn(page, board, 'alice');
  const refreshes = async () => {
    const text = await (await fetch(`${demo.addresses.management}/metrics`)).text();
    return Number(/countersign_tokens_issued_total\{grant="refresh_token"\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  const before = await refreshes();
  // At once, as pages do: a refresh token that two requests use would end the session.
  const statuses = await page.evaluate(() => Promise.all(Array.from({ length: 8 }, async () =>
    (await fetch('/bff/api/pins', { headers: { 'x-board': '1' } })).status)));
  assert.deepEqual(statuses, Array(8).fill(200));
  assert.ok(await refreshes() > before);
  assert.equal(await isSignedIn(page), true);
  noFaults(page);
});

/** A page of somebody else's, at an address of its own. */
async function strangerFor(context) {
  const server = http.createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<!doctype html><title>Stranger</title><p>Win a prize.</p>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => { server.close(); server.closeAllConnections(); });
  return server.address().port;
}

/** What a hostile page tries with the person's cookies; tells what it could read. */
async function attack(target) {
  const attempt = async (path, options) => {
    try {
      const response = await fetch(target + path, { credentials: 'include', ...options });
      return response.type === 'opaque' ? 'answered' : response.status;
    } catch {
      return 'blocked';
    }
  };
  const frame = document.createElement('iframe');
  frame.src = `${target}/`;
  document.body.append(frame);
  await new Promise((resolve) => { frame.onload = resolve; });
  let framed = 'refused';
  try { framed = frame.contentDocument === null ? 'refused' : 'read'; } catch { /* refused */ }
  return {
    framed,
    read: await attempt('/bff/who'),
    withHeader: await attempt('/bff/who', { headers: { 'x-board': '1' } }),
    signOut: await attempt('/bff/sign-out', { method: 'POST', headers: { 'x-board': '1' } }),
    blindSignOut: await attempt('/bff/sign-out', { method: 'POST', mode: 'no-cors' }),
    blindPin: await attempt('/bff/api/pins', { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: '{"text":"planted"}' }),
  };
}

/** Sends a form from the hostile page, as a navigation. */
const sendForm = ([action, enctype]) => {
  const form = document.createElement('form');
  Object.assign(form, { method: 'post', action, enctype });
  const field = document.createElement('input');
  field.name = '{"text":"planted","rest":"';
  field.value = '"}';
  form.append(field);
  document.body.append(form);
  form.submit();
};

test('pages of other origins', async (group) => {
  // Another port of the same host is the same site, so the Strict cookie goes along; another host is another site.
  for (const [name, host] of [['a sibling of the same site', 'localhost'], ['another site', '127.0.0.1']]) {
    await group.test(name, { skip: false }, async (context) => {
      const { board } = await boardFor(context);
      const port = await strangerFor(context);
      const browser = await browserFor(context);
      const page = await personAt(browser);
      await signIn(page, board, 'alice');
      const before = await pins(page);

      const hostile = await page.context().newPage();
      const stranger = `http://${host}:${port}/`;
      await hostile.goto(stranger);
      const got = await hostile.evaluate(attack, board.url);
      assert.deepEqual(got, {
        framed: 'refused', read: 'blocked', withHeader: 'blocked', signOut: 'blocked', blindSignOut: 'blocked', blindPin: 'blocked',
      });
      for (const [path, enctype] of [['/bff/sign-out', 'application/x-www-form-urlencoded'], ['/bff/api/pins', 'text/plain']]) {
        await hostile.goto(stranger);
        const answer = hostile.waitForResponse(board.url + path);
        await hostile.evaluate(sendForm, [board.url + path, enctype]);
        assert.equal((await answer).status(), 403, path);
        await hostile.waitForURL(board.url + path);
      }
      // Nothing happened: the person is signed in, and nothing was pinned.
      await page.reload();
      await page.locator('#board').waitFor();
      assert.deepEqual(await pins(page), before);
      // The same requests from Board's own page work.
      assert.equal(await page.evaluate(async () => (await fetch('/bff/api/pins', { method: 'POST', headers: { 'x-board': '1' }, body: '{"text":"own"}' })).status), 201);
      assert.equal(await page.evaluate(async () => (await fetch('/bff/sign-out', { method: 'POST', headers: { 'x-board': '1' } })).status), 200);
      assert.equal(await isSignedIn(page), false);
    });
  }
});
