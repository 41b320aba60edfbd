// The API behind Board: it knows nothing of browsers and sessions, only access tokens, which it checks by itself.

import http from 'node:http';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

const MAX_PINS = 100;
const MAX_BODY_BYTES = 16 * 1024;

/** @param settings `issuer`, `resource` (our own resource identifier) */
export function api({ issuer, resource }) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const pins = [
    { text: 'Tokens live on the server. This page has never seen one.' },
    { text: 'The cookie is HttpOnly, Secure and SameSite=Strict.' },
  ];

  /** RFC 9068 §4: signature, type, issuer, audience, expiry. */
  async function tokenOf(request) {
    const token = /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (!token) return undefined;
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer, audience: resource, typ: 'at+jwt', algorithms: ['RS256', 'ES256', 'EdDSA'], requiredClaims: ['exp', 'sub', 'client_id'],
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }

  async function textOf(request) {
    let body = '';
    for await (const chunk of request) {
      body += chunk;
      if (body.length > MAX_BODY_BYTES) return undefined;
    }
    try {
      const { text } = JSON.parse(body);
      return typeof text === 'string' && text.trim() !== '' && text.length <= 200 ? text.trim() : undefined;
    } catch {
      return undefined;
    }
  }

  async function answer(request) {
    const token = await tokenOf(request);
    if (!token) return [401, { error: 'invalid_token' }, { 'www-authenticate': 'Bearer error="invalid_token"' }];
    if (request.url !== '/pins') return [404, { error: 'not_found' }];
    const shown = () => pins.map(({ text, by }) => ({ text, by: by === token.sub ? 'you' : by === undefined ? 'Board' : 'somebody else' }));
    if (request.method === 'GET') return [200, { pins: shown() }];
    if (request.method !== 'POST') return [405, { error: 'method_not_allowed' }];
    if (!token.permissions?.includes('notes:write')) return [403, { error: 'insufficient_permissions' }];
    const text = await textOf(request);
    if (!text) return [400, { error: 'bad_text' }];
    pins.unshift({ text, by: token.sub });
    pins.splice(MAX_PINS);
    return [201, { pins: shown() }];
  }

  return http.createServer(async (request, response) => {
    let reply;
    try {
      reply = await answer(request);
    } catch (error) {
      console.error(error);
      reply = [503, { error: 'unavailable' }];
    }
    const [status, body, headers = {}] = reply;
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
    response.end(JSON.stringify(body));
  });
}
