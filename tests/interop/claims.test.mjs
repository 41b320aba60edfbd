// What apps are told of people, in the form that each registered for: single claims, signed userinfo, pairwise
// subjects, groups by another name. Checked by openid-client and oauth4webapi.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { codeFlow, discover } from './lib/client.mjs';
import { APP, secrets, start } from './lib/setup.mjs';

const SHOP = 'http://localhost:18998/callback';
let house;
before(async () => {
  const one = (id, more, redirectUri = APP) => `
[[client]]
id = "${id}"
name = "${id}"
secret = "env:APP_SECRET"
redirect_uris = ["${redirectUri}"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "groups", "roles", "permissions"]
first_party = true
${more}
`;
  house = await start({
    more: one('signed', 'userinfo_alg = "ES256"')
      + one('portal', 'subject_type = "pairwise"') + one('portal-admin', 'subject_type = "pairwise"')
      + one('shop', 'subject_type = "pairwise"', SHOP)
      + one('shaped', 'groups_claim = { name = "teams", prefix = "corp/", only = ["ana"] }\nclaims_in_id_token = true'),
  });
});
after(() => house?.stop());

const app = (id, metadata) => discover(house, id, client.ClientSecretBasic(secrets.APP_SECRET), metadata);

test('single claims come where they were asked for, and no others', async () => {
  const config = await app('app');
  assert.equal(config.serverMetadata().claims_parameter_supported, true);
  const claims = { userinfo: { email: { essential: true }, nickname: null }, id_token: { given_name: null, groups: { essential: true } } };
  const tokens = await codeFlow(config, { scope: 'openid', parameters: { claims: JSON.stringify(claims) } });
  const told = tokens.claims();
  assert.equal(told.given_name, 'Ada');
  assert.deepEqual(told.groups, ['analysts']);
  assert.equal(told.email, undefined);
  const info = await client.fetchUserInfo(config, tokens.access_token, told.sub);
  assert.equal(info.email, 'ada@upstream.example');
  assert.equal(info.given_name, undefined);
  assert.equal(info.name, undefined);
});

test('a claim with a value is a demand only for `sub`: another person is not told to the app', async () => {
  const config = await app('app');
  const me = (await codeFlow(config)).claims().sub;
  const wanting = (sub) => ({ parameters: { claims: JSON.stringify({ id_token: { sub: { value: sub } } }) } });
  assert.equal((await codeFlow(config, wanting(me))).claims().sub, me);
  await assert.rejects(codeFlow(config, { login: 'grace', ...wanting(me) }));
});

test('userinfo is signed for whoever registered for it, and the library checks it', async () => {
  const config = await app('signed', { userinfo_signed_response_alg: 'ES256' });
  assert.ok(config.serverMetadata().userinfo_signing_alg_values_supported.includes('ES256'));
  const tokens = await codeFlow(config);
  const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
  assert.equal(info.email, 'ada@upstream.example');
  assert.equal(info.aud, 'signed');

  // The lower library demands the content type and the signature too.
  const server = config.serverMetadata();
  const me = { client_id: 'signed', userinfo_signed_response_alg: 'ES256' };
  const insecure = { [oauth.allowInsecureRequests]: true };
  const answer = await oauth.userInfoRequest(server, me, tokens.access_token, insecure);
  assert.match(answer.headers.get('content-type'), /^application\/jwt/);
  await oauth.processUserInfoResponse(server, me, tokens.claims().sub, answer);
  await oauth.validateApplicationLevelSignature(server, answer, insecure);
});

test('apps of one host know a person by one pairwise subject, those of another by another', async () => {
  const subject = async (id, how) => {
    const config = await app(id);
    const tokens = await codeFlow(config, how);
    await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    return tokens.claims().sub;
  };
  const [portal, admin, again] = [await subject('portal'), await subject('portal-admin'), await subject('portal')];
  assert.equal(portal, again);
  assert.equal(portal, admin);
  const others = [await subject('shop', { redirectUri: SHOP }), await subject('app'), await subject('portal', { login: 'grace' })];
  assert.equal(new Set([portal, ...others]).size, 4);
});

test('groups come by the name and in the form that the app wants', async () => {
  const config = await app('shaped');
  const tokens = await codeFlow(config);
  assert.deepEqual(tokens.claims().teams, ['corp/analysts']);
  assert.equal(tokens.claims().groups, undefined);
  const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
  assert.deepEqual(info.teams, ['corp/analysts']);
  assert.deepEqual(info.roles, ['reader']);
});
