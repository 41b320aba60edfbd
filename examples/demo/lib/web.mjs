// The little that the stand-ins and Notes need from a web framework: routes, forms, cookies,
// escaped HTML, and a server that starts on a port and stops when asked.

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const MAX_BODY_BYTES = 64 * 1024;
const STYLE = readFileSync(new URL('./style.css', import.meta.url));

// --- HTML -----------------------------------------------------------------------------------

class Html {
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function render(value) {
  if (value === null || value === undefined || value === false) return '';
  if (Array.isArray(value)) return value.map(render).join('');
  if (value instanceof Html) return value.text;
  return String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]);
}

/** A template tag: every value is escaped, but for values that were made by this tag. */
export function html(strings, ...values) {
  return new Html(strings.reduce((text, part, index) => text + render(values[index - 1]) + part));
}

/**
 * A whole page. `theme` names a colour set of style.css, `label` is what stands in the header
 * beside the name.
 */
export function layout({ title, theme, brand, label, nav = '', main, wide = false }) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · ${brand}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
</head>
<body class="${theme}">
<header class="top">
<a class="brand" href="/"><span class="mark" aria-hidden="true">${brand.slice(0, 1)}</span>${brand}</a>
${label ? html`<span class="label">${label}</span>` : ''}
<span class="spring"></span>
${nav}
</header>
<main class="${wide ? 'wide' : 'narrow'}">
${main}
</main>
</body>
</html>
`;
}

// --- Replies --------------------------------------------------------------------------------

// No form-action here: Chromium applies it to every redirect after the form, and a stand-in
// cannot know which apps stand behind the broker.
const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};

export function page(markup, { status = 200, headers = {} } = {}) {
  return { status, headers: { ...PAGE_HEADERS, ...headers }, body: markup.toString() };
}

export function json(value, { status = 200, headers = {} } = {}) {
  return {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
    body: JSON.stringify(value),
  };
}

export function redirect(location, { headers = {} } = {}) {
  return {
    status: 303,
    headers: { location: String(location), 'cache-control': 'no-store', ...headers },
    body: '',
  };
}

/** Puts parameters on an address, keeping those that it has. */
export function withParameters(address, parameters) {
  const url = new URL(address);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) url.searchParams.append(name, value);
  }
  return url.href;
}

// --- Requests -------------------------------------------------------------------------------

/** A reply thrown from inside a handler. */
export class Stop extends Error {
  constructor(reply) {
    super(`replied ${reply.status}`);
    this.reply = reply;
  }
}

/** The parameters as a plain object without prototype; `twice` names those that came repeatedly. */
export function parameters(searchParams) {
  const values = Object.create(null);
  const twice = [];
  for (const [name, value] of searchParams) {
    if (name in values) twice.push(name);
    else values[name] = value;
  }
  return { values, twice };
}

export function cookies(request) {
  const found = Object.create(null);
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0) found[part.slice(0, equals).trim()] ??= part.slice(equals + 1).trim();
  }
  return found;
}

/** A Set-Cookie value; `maxAge` in seconds, 0 removes the cookie. */
export function cookie(name, value, { secure, maxAge, path = '/' }) {
  return [
    `${name}=${value}`,
    `Path=${path}`,
    'HttpOnly',
    'SameSite=Lax',
    ...(maxAge === undefined ? [] : [`Max-Age=${maxAge}`]),
    ...(secure ? ['Secure'] : []),
  ].join('; ');
}

/** A bearer token from the Authorization header, or undefined. */
export function bearer(request) {
  return /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

async function readForm(request) {
  const type = (request.headers['content-type'] ?? '').split(';')[0].trim().toLowerCase();
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Stop({ status: 413, headers: {}, body: 'Too large.\n' });
    chunks.push(chunk);
  }
  const isForm = type === 'application/x-www-form-urlencoded';
  return new URLSearchParams(isForm ? Buffer.concat(chunks).toString('utf8') : '');
}

export const randomId = (bytes = 32) => randomBytes(bytes).toString('base64url');

/** A map whose entries live for `seconds`; the oldest go first when there are too many. */
export class Expiring {
  #entries = new Map();

  constructor(seconds, { most = 10_000, now = Date.now } = {}) {
    this.milliseconds = seconds * 1000;
    this.most = most;
    this.now = now;
  }

  add(value, key = randomId()) {
    while (this.#entries.size >= this.most) {
      this.#entries.delete(this.#entries.keys().next().value);
    }
    this.#entries.set(key, { value, until: this.now() + this.milliseconds });
    return key;
  }

  get(key) {
    const entry = this.#entries.get(key);
    if (entry && entry.until > this.now()) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** Gets the value and forgets it: a second take finds nothing. */
  take(key) {
    const value = this.get(key);
    this.#entries.delete(key);
    return value;
  }

  delete(key) {
    this.#entries.delete(key);
  }
}

// --- The server -----------------------------------------------------------------------------

async function answer(routes, request, publicUrl) {
  const url = new URL(request.url, publicUrl);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (method === 'GET' && url.pathname === '/style.css') {
    const headers = { 'content-type': 'text/css; charset=utf-8', 'cache-control': 'max-age=300' };
    return { status: 200, headers, body: STYLE };
  }
  const allowed = [];
  for (const [pattern, handler] of routes) {
    const [verb, path] = pattern.split(' ');
    const match = new RegExp(`^${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`).exec(url.pathname);
    if (!match) continue;
    if (verb === method) {
      const form = method === 'POST' ? await readForm(request) : new URLSearchParams();
      return handler({ request, url, form, cookies: cookies(request), params: match.groups ?? {} });
    }
    allowed.push(verb);
  }
  if (allowed.length > 0) {
    return { status: 405, headers: { allow: allowed.join(', ') }, body: 'Method not allowed.\n' };
  }
  return { status: 404, headers: { 'content-type': 'text/plain' }, body: 'Not found.\n' };
}

/**
 * Starts an app: listens first, so that port 0 works, then builds the routes with the address
 * that came of it.
 *
 * @param build `async (settings) => ({ 'GET /path': handler, … })`
 * @param settings `port`, `host`, `publicUrl` (made from the port where absent),
 *   `tls: { key, cert }`, and whatever the app itself wants
 */
export async function start(build, settings) {
  let ready;
  let publicUrl;
  const listener = async (request, response) => {
    let reply;
    try {
      reply = await answer(await ready, request, publicUrl);
    } catch (error) {
      if (!(error instanceof Stop)) console.error(error);
      const fallback = { status: 500, headers: {}, body: 'Something went wrong in this app.\n' };
      reply = error instanceof Stop ? error.reply : fallback;
    }
    response.writeHead(reply.status, reply.headers);
    response.end(request.method === 'HEAD' ? undefined : reply.body);
  };
  const server = settings.tls
    ? https.createServer(settings.tls, listener)
    : http.createServer(listener);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(settings.port ?? 0, settings.host ?? '127.0.0.1', resolve);
  });
  const { port } = server.address();
  publicUrl = settings.publicUrl ?? `${settings.tls ? 'https' : 'http'}://localhost:${port}`;
  ready = Promise.resolve(build({ ...settings, publicUrl })).then((routes) => Object.entries(routes));
  await ready;
  return {
    url: publicUrl,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

function settingsFromEnvironment(defaults) {
  const { PORT, HOST, PUBLIC_URL, BROKER_URL, DATA_DIR, TLS_CERT, TLS_KEY } = process.env;
  const port = PORT === undefined ? defaults.port : Number(PORT);
  return {
    port,
    host: HOST ?? '127.0.0.1',
    publicUrl: PUBLIC_URL ?? `http://localhost:${port}`,
    brokerUrl: BROKER_URL ?? 'http://localhost:8080',
    dataDir: DATA_DIR,
    tls: TLS_CERT ? { cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) } : undefined,
  };
}

/** Runs the app if the module was started as a program: settings from the environment. */
export async function main(moduleUrl, name, build, defaults) {
  if (!process.argv[1] || moduleUrl !== pathToFileURL(process.argv[1]).href) return;
  let server;
  try {
    server = await start(build, settingsFromEnvironment(defaults));
  } catch (error) {
    console.error(`${name} cannot start: ${error.message}`);
    process.exit(1);
  }
  console.log(`${name} is at ${server.url}`);
  process.send?.('ready');
  const stop = () => server.close().then(() => process.exit(0));
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  // The demo's starter holds the other end; when it dies, however it dies, so do we.
  process.on('disconnect', stop);
}
