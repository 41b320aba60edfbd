// Every page in a browser: no accessibility violation in either theme, nothing refused by its own policy,
// targets large enough, no sideways scrolling on a narrow phone, and working forms with scripts off.
//
// With COUNTERSIGN_SHOTS=FOLDER it also leaves a picture of each page: phone and desktop, light and dark.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launch, names, open, serve } from './browser.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = process.env.COUNTERSIGN_SHOTS;
const windows = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };

let server;
let chromium;

before(async () => {
  server = await serve();
  chromium = await launch();
  if (shots) mkdirSync(shots, { recursive: true });
});
after(async () => {
  await chromium?.close();
  await server?.close();
});

const show = (options) => open(chromium.browser, server.origin, options);
const address = (name) => `${server.origin}/${name}`;

// Some pages leave by themselves; what they ask for is answered with 204, which keeps them, but their load
// event may never come.
const visit = async (page, name) => {
  await page.goto(address(name), { waitUntil: 'commit' });
  await page.locator('main').waitFor();
  await page.evaluate(() => document.fonts.ready);
};

for (const colorScheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(windows)) {
    test(`axe finds nothing: ${colorScheme}, ${size}`, async () => {
      const { page, complaints, close } = await show({ colorScheme, viewport, reducedMotion: 'reduce' });
      for (const name of names) {
        await visit(page, name);
        if (shots) await page.screenshot({ path: path.join(shots, `${name}-${size}-${colorScheme}.png`) });
        await page.evaluate(axe);
        const { violations, passes } = await page.evaluate(() => axe.run());
        const found = violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' | ')}`);
        assert.deepEqual(found, [], name);
        assert.ok(passes.some((p) => p.id === 'color-contrast'), `${name}: contrast was measured`);
      }
      assert.deepEqual(complaints, [], 'the browser complains about nothing, its policy included');
      await close();
    });
  }
}

test('axe and the browser would notice', async () => {
  const { page, complaints, close } = await show();
  await visit(page, 'home');
  await page.evaluate(() => {
    document.querySelector('h1').insertAdjacentHTML('afterend', '<img src="/x"><p style="color:#eee">faint</p>');
  });
  await page.evaluate(axe);
  const ids = await page.evaluate(async () => (await axe.run()).violations.map((v) => v.id));
  assert.ok(ids.includes('image-alt'), String(ids));
  assert.ok(complaints.some((text) => text.includes('Content Security Policy')), String(complaints));
  await close();
});

test('targets are large enough, and sign-in buttons are all alike', async () => {
  const { page, close } = await show({ viewport: windows.phone });
  for (const name of names) {
    await visit(page, name);
    const boxes = await page.locator('a, button').evaluateAll((all) =>
      all.map((e) => ({ text: e.textContent.trim(), is: e.className, ...e.getBoundingClientRect().toJSON() })),
    );
    for (const { text, width, height } of boxes) {
      assert.ok(width >= 24 && height >= 24, `${name}: '${text}' is ${width} × ${height}`);
    }
    const providers = boxes.filter((b) => b.is === 'provider');
    for (const { text, width, height } of providers) {
      assert.ok(height >= 44, `${name}: '${text}' is ${height} high`);
      if (!['chooser-many', 'chooser-presets', 'chooser-search'].includes(name)) {
        assert.deepEqual([width, height], [providers[0].width, providers[0].height], `${name}: '${text}'`);
      }
    }
  }
  await close();
});

test('nothing needs sideways scrolling at 320 pixels (WCAG 1.4.10)', async () => {
  const { page, close } = await show({ viewport: { width: 320, height: 640 } });
  for (const name of names) {
    await visit(page, name);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(over <= 0, `${name}: ${over} pixels too wide`);
  }
  await close();
});

test('focus is seen on every control, and none is hidden', async () => {
  const { page, close } = await show({ viewport: windows.phone });
  for (const name of names) {
    await visit(page, name);
    const controls = await page.locator('a, button, input:not([type=hidden])').count();
    for (let i = 0; i < controls; i += 1) {
      await page.keyboard.press('Tab');
      const seen = await page.evaluate(() => {
        const e = document.activeElement;
        const box = e.getBoundingClientRect();
        return {
          tag: e.tagName,
          outline: parseFloat(getComputedStyle(e).outlineWidth),
          top: box.top,
          bottom: box.bottom,
          inside: box.top >= -1 && box.bottom <= innerHeight + 1,
        };
      });
      assert.ok(['A', 'BUTTON', 'INPUT'].includes(seen.tag), `${name}: Tab ${i + 1} reached ${seen.tag}`);
      assert.ok(seen.outline >= 2, `${name}: outline of ${seen.outline}`);
      assert.ok(seen.inside, `${name}: control ${i + 1} is outside the window: ${JSON.stringify(seen)}`);
    }
  }
  await close();
});

test('a provider is chosen with scripts off', async () => {
  const { page, close } = await show({ javaScriptEnabled: false });
  await visit(page, 'chooser');
  server.posted.length = 0;
  await page.getByRole('button', { name: 'Continue with Friendbook' }).click();
  await until(() => server.posted.length === 1);
  const [{ path: where, fields }] = server.posted;
  assert.equal(where, '/sign-in');
  assert.equal(fields.provider, 'friendbook');
  assert.ok(fields.flow && fields.csrf);
  await close();
});

test('consent is given or refused with scripts off', async () => {
  for (const [button, decision] of [
    ['Allow', 'allow'],
    ['Do not allow', 'deny'],
  ]) {
    const { page, close } = await show({ javaScriptEnabled: false });
    await visit(page, 'consent');
    server.posted.length = 0;
    await page.getByRole('button', { name: button, exact: true }).click();
    await until(() => server.posted.length === 1);
    assert.equal(server.posted[0].fields.decision, decision);
    await close();
  }
});

test('a form posts itself with scripts on, and waits for its button with scripts off', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { page, left, close } = await show({ javaScriptEnabled });
    await page.goto(address('autopost'), { waitUntil: 'commit' });
    if (!javaScriptEnabled) {
      await page.waitForLoadState();
      assert.equal(left.length, 0);
      await page.getByRole('button', { name: 'Continue' }).click();
    }
    await until(() => left.length === 1);
    assert.equal(left[0].method, 'POST');
    assert.equal(left[0].url, 'https://acme.example/sso');
    assert.ok(new URLSearchParams(left[0].body).get('SAMLRequest'));
    await close();
  }
});

test('the departure page leaves by itself with scripts off', async () => {
  const { page, left, close } = await show({ javaScriptEnabled: false });
  await page.goto(address('departure'), { waitUntil: 'commit' });
  await until(() => left.length >= 1);
  assert.equal(left[0].url, 'https://notes.example/');
  await close();
});

test('the signed-out page loads the apps out of sight, and then leads on', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const { page, left, complaints, close } = await show({ javaScriptEnabled });
    await page.goto(address('signed-out-apps'), { waitUntil: 'commit' });
    await until(() => left.length >= 3);
    assert.deepEqual(left.map((request) => request.url), Array(3).fill('https://notes.example/'));
    assert.deepEqual(complaints, []);
    // One of the two leads on, never both: the app would be visited twice.
    const refreshes = await page.locator('meta[http-equiv=refresh]').count();
    assert.equal(refreshes, javaScriptEnabled ? 0 : 1);
    await close();
  }
});

test('an app that hangs does not keep the signed-out page', async () => {
  const { page, left, close } = await show();
  let hanging = 0;
  await page.route('https://notes.example/', (route) => {
    if (route.request().frame() === page.mainFrame()) return route.fallback();
    hanging += 1;
  });
  await page.goto(address('signed-out-apps'), { waitUntil: 'commit' });
  await until(() => left.length === 1);
  assert.equal(hanging, 2);
  await close();
});

/** Waits until something holds; the test runner's time limit ends it otherwise. */
async function until(holds) {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
