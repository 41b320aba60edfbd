// Real providers lead people through hosts of their own before and after they sign in, and apps do too.
// Browsers hold every redirect that follows a form against that form's policy (CSP `form-action`), so this
// can be tried in a browser alone.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { browserFor, chooseProvider, demoFor, journey, noFaults, personAt, pickPerson } from './support.mjs';

/** Another host in a provider's house: sends everybody on to the real address. */
async function bouncer(context, target) {
  const server = http.createServer((request, response) => {
    response.writeHead(302, { location: `${target}${request.url}` });
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => { server.close(); server.closeAllConnections(); });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Changes the providers of a running demo, and waits until new sign-ins see it. */
async function changeProviders(demo, change, seen) {
  const file = path.join(demo.dataDir, 'providers.toml');
  const changed = change(readFileSync(file, 'utf8'));
  assert.notEqual(changed, readFileSync(file, 'utf8'));
  writeFileSync(file, changed);
  for (let tries = 0; tries < 100; tries += 1) {
    if (await seen()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail('the running broker did not take over the changed file');
}

journey('a provider that leads through another host is reached from the chooser', async (context) => {
  const demo = await demoFor(context);
  const bounce = await bouncer(context, demo.addresses.friendbook);
  const browser = await browserFor(context);
  const page = await personAt(browser);

  await changeProviders(
    demo,
    (toml) => toml.replace(/authorize_url = "[^"]*"/, `authorize_url = "${bounce}/dialog/oauth"`),
    async () => {
      await page.goto(`${demo.addresses.notes}/sign-in`);
      const policy = (await page.context().request.get(page.url())).headers()['content-security-policy'];
      return policy?.includes(bounce);
    },
  );
  await page.goto(demo.addresses.notes);
  await page.getByRole('link', { name: /sign in/i }).or(page.getByRole('button', { name: /sign in/i })).first().click();
  await chooseProvider(page, 'friendbook');
  await pickPerson(page, 'carol');
  await page.locator('#sub').waitFor();
  noFaults(page);
});
