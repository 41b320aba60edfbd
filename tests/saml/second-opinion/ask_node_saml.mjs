// What @node-saml/node-saml says of SAML responses: one JSON object per line in, one out.
import { createInterface } from 'node:readline';
import { SAML } from '@node-saml/node-saml';

let settings;
let saml;
let pending;

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.settings) {
    settings = message.settings;
    saml = new SAML({
      callbackUrl: settings.acs,
      entryPoint: 'https://idp.example/sso',
      issuer: settings.entity_id,
      audience: settings.entity_id,
      idpIssuer: settings.idp,
      idpCert: settings.certificates,
      decryptionPvk: settings.key,
      wantAssertionsSigned: false,
      wantAuthnResponseSigned: false,
      acceptedClockSkewMs: 60_000,
      validateInResponseTo: 'always',
      // the one request that is pending
      cacheProvider: {
        saveAsync: async () => null,
        getAsync: async (key) => (key === pending ? new Date().toISOString() : null),
        removeAsync: async () => null,
      },
    });
    continue;
  }
  pending = message.request;
  let answer;
  try {
    const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: message.response });
    answer = profile ? { name: profile.nameID } : { refused: 'no profile' };
  } catch (error) {
    answer = { refused: String(error?.message ?? error).slice(0, 200) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
