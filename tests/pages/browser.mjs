// Serves the pages that `cargo test --test pages` wrote, each with its policy, and opens them in Chromium.

import { createServer } from 'node:http';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const root = path.resolve(import.meta.dirname, '../..');
const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target');
export const folder = path.join(target, 'tmp', 'pages');

if (!existsSync(path.join(folder, 'policies.json'))) {
  throw new Error(`No pages in ${folder}: run 'cargo test --test pages' first.`);
}

export const policies = JSON.parse(readFileSync(path.join(folder, 'policies.json'), 'utf8'));
export const names = Object.keys(policies);

const types = { '.css': 'text/css', '.svg': 'image/svg+xml', '.js': 'text/javascript' };

/** A server of the written pages; what was posted to it is kept in `posted`. */
export async function serve() {
  const files = new Set(readdirSync(path.join(folder, 'static')));
  const posted = [];
  const server = createServer(async (request, response) => {
    const name = request.url.slice(1);
    if (request.method === 'GET' && policies[name]) {
      response.writeHead(200, {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': policies[name],
      });
      response.end(readFileSync(path.join(folder, `${name}.html`)));
    } else if (request.method === 'GET' && name.startsWith('static/') && files.has(name.slice(7))) {
      response.writeHead(200, { 'content-type': types[path.extname(name)] });
      response.end(readFileSync(path.join(folder, name)));
    } else if (request.method === 'POST') {
      let body = '';
      for await (const chunk of request) body += chunk;
      posted.push({ path: request.url, fields: Object.fromEntries(new URLSearchParams(body)) });
      response.writeHead(204).end();
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, posted, close: () => new Promise((resolve) => server.close(resolve)) };
}

/** Chromium with a profile of its own that speaks to nobody unasked. */
export async function launch() {
  const profile = mkdtempSync(path.join(tmpdir(), 'countersign-pages-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const browser = context.browser();
  return {
    browser,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

/** A window on our server alone; requests to other hosts are answered with nothing and kept in `left`. */
export async function open(browser, origin, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const left = [];
  const complaints = [];
  await context.route(
    (url) => url.origin !== origin,
    (route) => {
      left.push({ method: route.request().method(), url: route.request().url(), body: route.request().postData() });
      return route.fulfill({ status: 204 });
    },
  );
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { page, left, complaints, close: () => context.close() };
}
