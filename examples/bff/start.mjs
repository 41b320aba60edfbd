// Starts Board and its API. Without any settings it is a client of `./dev demo`'s broker.

import { pathToFileURL } from 'node:url';
import { api } from './api.mjs';
import { board } from './server.mjs';

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/;

function secure(name, address) {
  const url = new URL(address);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname))) return address.replace(/\/$/, '');
  throw new Error(`${name} must be an https address, or on loopback: ${address}`);
}

function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // A proxy on this machine ends TLS.
    server.listen(port, '127.0.0.1', () => resolve(server.address().port));
  });
}

/** Starts both from settings as the environment gives them; answers the address and `stop`. */
export async function start(env) {
  const port = Number(env.PORT ?? 8085);
  const issuer = secure('ISSUER', env.ISSUER ?? 'http://localhost:8080');
  const publicUrl = secure('PUBLIC_URL', env.PUBLIC_URL ?? `http://localhost:${port}`);
  const resource = env.RESOURCE ?? 'urn:demo:api';
  const servers = [api({ issuer, resource })];
  const stop = () => Promise.all(servers.map((server) => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); })));
  try {
    const apiPort = await listen(servers[0], Number(env.API_PORT ?? port + 1));
    servers.push(board({
      issuer, publicUrl, resource, apiUrl: `http://127.0.0.1:${apiPort}`,
      clientId: env.CLIENT_ID ?? 'demo-board', clientSecret: env.CLIENT_SECRET ?? 'demo-board-secret',
    }));
    await listen(servers[1], port);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: publicUrl, stop };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { url, stop } = await start(process.env);
  console.log(`Board is at ${url}; Ctrl-C stops it.`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop().then(() => process.exit(0)));
}
