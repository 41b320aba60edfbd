// What is tried with every SAML identity provider that nobody here wrote.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser } from './browser.mjs';
import { follow, newKeys, signInBySaml, signOutAtApp, startSamlHouse, stillSignedIn } from './saml.mjs';

/** The answer as it was posted to the broker. */
const answered = ({ visited }) => Buffer.from(visited.map(({ form }) => form.get('SAMLResponse')).find(Boolean), 'base64').toString();

/**
 * Registers the tests.
 *
 * @param name what the provider is called
 * @param skip why not, if not
 * @param entityPath, metadataPath, variations as `startSamlHouse` has them; a variation says in `encrypted` and `signed` what its answers show
 * @param start starts the provider with `keys`, and with what `rollover` says
 * @param login signs in at the provider
 * @param who who is signed in there, by its own page: `(browser, idp) => name or nobody`
 * @param refused `[provider id, what is wrong, variation, reason]`: answers that are not as they must be, and what is in the trace
 * @param rollover `(old, next) => [settings, …]`: how the provider goes from one key to the next
 * @param logouts provider ids with which people sign out, in both directions
 * @param signOut signs out at the provider; answers the page on which the way ends
 */
export function samlSuite({ name, skip = false, entityPath, metadataPath, variations, start, login, who, refused, rollover, logouts, signOut }) {
  let house;
  let keys;
  before(async () => {
    if (skip) return;
    keys = await newKeys();
    house = await startSamlHouse({ entityPath, metadataPath, variations, start: (more) => start({ keys, ...more }) });
  });
  after(() => house?.stop());

  for (const [id, { encrypted = false }] of Object.entries(variations)) {
    test(`a sign-in through ${name}: ${id}`, { skip }, async () => {
      const one = await signInBySaml(house, id, { login });
      assert.equal(one.info.name, 'Ada Lovelace');
      assert.equal(one.info.email, 'ada@upstream.example');
      assert.deepEqual(one.info.groups, ['analysts']);
      assert.equal(/<[\w:]*EncryptedAssertion[ >]/.test(answered(one)), encrypted);
      const again = await signInBySaml(house, id, { login });
      assert.equal(again.info.sub, one.info.sub, 'the same person again');
      const grace = await signInBySaml(house, id, { login, user: 'grace' });
      assert.notEqual(grace.info.sub, one.info.sub);
      assert.deepEqual(grace.info.groups ?? [], []);
    });
  }

  for (const [id, what, variation, reason] of refused) {
    test(`an answer of ${name} that is not as it must be is refused: ${id}, ${what}`, { skip }, async () => {
      await house.vary(id, variation);
      await assert.rejects(signInBySaml(house, id, { login }), ({ page, why, message }) => {
        assert.ok(page?.url.href.startsWith(house.issuer), message);
        assert.match(why, reason);
        return true;
      });
      await house.vary(id, variations[id].variation);
      assert.equal((await signInBySaml(house, id, { login })).info.name, 'Ada Lovelace', 'as it must be, it is taken');
    });
  }

  test(`${name} changes its key: no sign-in is lost`, { skip }, async () => {
    const [id] = Object.keys(variations);
    const first = await signInBySaml(house, id, { login });
    const next = await newKeys('next');
    for (const step of rollover(keys, next)) {
      await house.restart(step);
      assert.equal((await signInBySaml(house, id, { login })).info.sub, first.info.sub);
    }
    await house.restart();
  });

  for (const id of logouts) {
    test(`who signs out at the app is signed out at ${name}: ${id}`, { skip }, async () => {
      const browser = new Browser();
      const one = await signInBySaml(house, id, { login, browser });
      assert.equal(await who(browser, house.idp), 'ada');
      const end = await signOutAtApp(house, one, browser);
      const about = `${end.url}\n${end.text}\n${house.log()}`;
      assert.equal(await stillSignedIn(house, one), false, about);
      assert.equal(await who(browser, house.idp), 'nobody', about);
      assert.ok(end.stopped, `not back at the app: ${about}`);
    });
    test(`who signs out at ${name} is signed out at the app: ${id}`, { skip }, async () => {
      const browser = new Browser();
      const one = await signInBySaml(house, id, { login, browser });
      const other = await signInBySaml(house, id, { login, user: 'grace' });
      assert.equal(await stillSignedIn(house, one), true);
      const end = await follow(browser, await signOut(browser, house.idp, id, house));
      assert.equal(await stillSignedIn(house, one), false, `${end.url}\n${end.text}\n${house.log()}`);
      assert.ok(end.url.href.startsWith(house.idp.url), `the provider has no answer: ${end.url}\n${end.text}`);
      assert.equal(await who(browser, house.idp), 'nobody');
      assert.equal(await stillSignedIn(house, other), true, 'nobody else is');
    });
  }
}
