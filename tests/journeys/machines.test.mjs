// The demo's clients that have no person before them, with the names and secrets that scripts may rely on.

import assert from 'node:assert/strict';
import { demoFor, journey } from './support.mjs';

const basic = (id, secret) => ({ authorization: `Basic ${btoa(`${id}:${secret}`)}` });

journey('a service signs in as itself, and the API looks at its token', async (context) => {
  const demo = await demoFor(context);
  const issuer = demo.addresses.broker;
  const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  assert.equal(metadata.issuer, issuer);
  const post = (address, headers, body) => fetch(address, { method: 'POST', headers, body: new URLSearchParams(body) });

  const service = basic('demo-service', 'demo-service-secret');
  const answer = await post(metadata.token_endpoint, service, {
    grant_type: 'client_credentials', scope: 'roles permissions',
  });
  assert.equal(answer.status, 200);
  const { access_token: token } = await answer.json();
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.equal(claims.aud, 'urn:demo:api');
  assert.deepEqual([claims.roles, claims.permissions], [['reporter'], ['notes:read']]);

  const introspect = async () => {
    const api = basic('demo-api', 'demo-api-secret');
    return (await post(metadata.introspection_endpoint, api, { token })).json();
  };
  const seen = await introspect();
  assert.equal(seen.active, true);
  assert.equal(seen.client_id, 'demo-service');
  await post(metadata.revocation_endpoint, service, { token });
  assert.deepEqual(await introspect(), { active: false });

  const wrong = await post(metadata.token_endpoint, basic('demo-service', 'wrong'), { grant_type: 'client_credentials' });
  assert.equal(wrong.status, 401);
});
