// People whom a provider does not tell enough about: Bob has no address at Friendbook.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import {
  browserFor, chooseProvider, codeFor, commandLine, demoFor, DESKTOP, fitsTheScreen, journey, noFaults, personAt,
  PHONE, pickPerson, proveAddress, screenshot, whoNotesSees,
} from './support.mjs';

for (const [device, viewport, javaScriptEnabled] of [['phone', PHONE, true], ['desktop', DESKTOP, false]]) {
  describe(`one more thing, on a ${device}, ${javaScriptEnabled ? 'with' : 'without'} scripts`, () => {
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

    async function arrive(page) {
      await page.goto(demo.addresses.notes);
      await page.locator('#sign-in').click();
      await chooseProvider(page, 'friendbook');
      await pickPerson(page, 'bob');
    }

    journey('a wrong address, a wrong code, another address, and in', async () => {
      const page = await personAt(browser, { viewport, javaScriptEnabled });
      const look = async (name) => {
        await fitsTheScreen(page);
        await screenshot(page, `${name}-${device}`);
      };
      await arrive(page);
      await page.locator('input#email').waitFor();
      assert.equal(await page.locator('#name').count(), 0, 'Friendbook told the name');
      await look('details');
      // Browsers themselves stop what is plainly no address; this one only the broker stops.
      await page.locator('#email').fill('bob@localhost');
      await page.locator('button[value="details"]').click();
      await page.locator('#email[aria-invalid="true"]').waitFor();
      assert.equal(await page.locator('#email').inputValue(), 'bob@localhost', 'what was typed is kept');
      await look('details-wrong');
      await page.locator('#email').fill('somebody@example.org');
      await page.locator('button[value="details"]').click();
      await page.locator('#code').waitFor();
      await look('code');
      const code = await codeFor(page, demo, 'somebody@example.org');
      await page.locator('#code').fill(code.startsWith('1') ? `2${code.slice(1)}` : `1${code.slice(1)}`);
      await page.locator('#code').press('Enter');
      await page.locator('#code[aria-invalid="true"]').waitFor();
      await look('code-wrong');
      const reference = (await page.locator('.reference code').textContent()).trim();
      assert.match(commandLine(demo, 'trace', reference), /person\.code/);
      await page.locator('button[value="change"]').click();
      await page.locator('input#email').waitFor();
      await proveAddress(page, demo, 'bob@example.org');
      const bob = await whoNotesSees(page);
      assert.equal(bob.name, 'Bob Baptiste');
      assert.equal(await page.locator('#email').textContent(), 'bob@example.org (verified)');
      noFaults(page);

      // Who has told it is not asked again.
      const again = await personAt(browser, { viewport, javaScriptEnabled });
      await arrive(again);
      assert.equal((await whoNotesSees(again)).sub, bob.sub);
      const inbox = await personAt(browser, { viewport });
      await inbox.goto(demo.addresses.mailbox);
      await fitsTheScreen(inbox);
      await screenshot(inbox, `mailbox-${device}`);
    });
  });
}
