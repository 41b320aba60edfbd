// Mailbox: letters come in by SMTP and are shown, and nothing in them becomes markup.

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { read, receive } from '../mailbox/server.mjs';

async function talk(port, lines) {
  const socket = net.connect(port, '127.0.0.1');
  socket.setEncoding('latin1');
  let heard = '';
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('data', (chunk) => { heard += chunk; });
  for (const line of lines) {
    socket.write(`${line}\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await closed;
  return heard;
}

test('a letter is kept for each recipient, without the dots of the protocol', async () => {
  const kept = [];
  const server = await receive(0, (letter) => kept.push(letter));
  const heard = await talk(server.address().port, [
    'EHLO test', 'MAIL FROM:<id@house.example>', 'RCPT TO:<ann@x.example>', 'RCPT TO:<ben@x.example>', 'DATA',
    'From: House <id@house.example>', 'Subject: =?utf-8?b?SGVsbG8g4pyT?=', 'Content-Transfer-Encoding: quoted-printable',
    '', 'Hello =C3=A9', '..', 'bye', '.', 'QUIT',
  ]);
  server.close();
  assert.match(heard, /250 2\.0\.0 kept/);
  assert.deepEqual(kept.map(({ to }) => to), ['ann@x.example', 'ben@x.example']);
  assert.equal(kept[0].subject, 'Hello ✓');
  assert.equal(kept[0].text, 'Hello é\n.\nbye');
});

test('what is no recipient gets no letter', async () => {
  const kept = [];
  const server = await receive(0, (letter) => kept.push(letter));
  const heard = await talk(server.address().port, ['EHLO test', 'MAIL FROM:<a@b>', 'RCPT TO:nobody', 'DATA', 'QUIT']);
  server.close();
  assert.match(heard, /550 /);
  assert.match(heard, /503 /);
  assert.equal(kept.length, 0);
});

test('a letter in base64 is read', () => {
  const text = Buffer.from('Grüße\r\n').toString('base64');
  assert.equal(read(`Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n${text}\r\n`).text, 'Grüße');
});
