// What Notes decides by itself; its sign-in is tried by the journeys, in a browser.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { html, start } from '../lib/web.mjs';
import { notes, ownPath } from '../notes/server.mjs';
import { NoteStore } from '../notes/store.mjs';

test('only paths of our own are resumed', () => {
  for (const path of ['/', '/notes/42', '/notes/42?a=b&c=%2F']) assert.equal(ownPath(path), path);
  for (const path of [
    undefined, '', 'notes', '//elsewhere.test', '/\\elsewhere.test', '/a\\b', 'http://elsewhere.test/', '/a b',
    '/a\r\nSet-Cookie: x', '\t/a',
  ]) {
    assert.equal(ownPath(path), '/');
  }
});

test('values in pages are escaped', () => {
  assert.equal(html`<p>${'<b>&"\''}</p>`.toString(), '<p>&lt;b&gt;&amp;&quot;&#39;</p>');
  assert.equal(html`${[html`<i>${'<'}</i>`, undefined, 0]}`.toString(), '<i>&lt;</i>0');
});

test('notes are kept between starts', (context) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'notes-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const { id } = new NoteStore(folder).add('Alice', 'Hello');
  assert.deepEqual(new NoteStore(folder).get(String(id)), { id, author: 'Alice', text: 'Hello' });
});

test('while the issuer is away, sign-in says so and offers to try again', async (context) => {
  context.mock.method(console, 'error', () => {});
  const server = await start(notes, { brokerUrl: 'http://127.0.0.1:1' });
  context.after(() => server.close());
  const wanted = await fetch(`${server.url}/notes/42`, { redirect: 'manual' });
  assert.equal(wanted.headers.get('location'), '/sign-in?return_to=%2Fnotes%2F42');
  const response = await fetch(`${server.url}/sign-in?return_to=%2Fnotes%2F42`);
  assert.equal(response.status, 503);
  const markup = await response.text();
  assert.match(markup, /id="try-again" href="\/sign-in\?return_to=%2Fnotes%2F42"/);
});

test('an answer that this browser did not ask for is refused', async (context) => {
  context.mock.method(console, 'error', () => {});
  const server = await start(notes, { brokerUrl: 'http://127.0.0.1:1' });
  context.after(() => server.close());
  const response = await fetch(`${server.url}/callback?code=x&state=y`);
  assert.equal(response.status, 400);
  assert.match(await response.text(), /unknown_sign_in/);
});
