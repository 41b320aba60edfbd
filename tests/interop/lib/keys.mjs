// Keys of clients, and a place on loopback where a client publishes what others fetch: its keys, its request objects.
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';

/** A key pair: the private key for the libraries, and both as JWKs. */
export async function newKey(alg, kid = `key-${alg}`) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const about = { kid, alg, use: 'sig' };
  return { kid, alg, privateKey, jwk: { ...await exportJWK(publicKey), ...about }, privateJwk: { ...await exportJWK(privateKey), ...about } };
}

/** Serves what `documents` has at a path as `[content type, text]`, and remembers what was posted. */
export async function publish(documents = {}) {
  const posted = [];
  const waiting = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.method === 'POST') {
      posted.push({ path: request.url, form: new URLSearchParams(body), headers: request.headers });
      waiting.splice(0).forEach((resolve) => resolve());
      return response.writeHead(200, { 'cache-control': 'no-store' }).end();
    }
    const found = documents[request.url];
    if (!found) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': found[0], 'cache-control': 'max-age=60' }).end(found[1]);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`, documents, posted,
    /** Waits until so many were posted. */
    async received(count, seconds = 20) {
      const until = Date.now() + seconds * 1000;
      while (posted.length < count && Date.now() < until) {
        await Promise.race([new Promise((resolve) => waiting.push(resolve)), new Promise((resolve) => setTimeout(resolve, 200))]);
      }
      return posted;
    },
    stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }),
  };
}
