// Mailbox: where the demo's letters end. An SMTP server of a few verbs (RFC 5321) that keeps the last letters in
// memory, and a page that shows them. Nothing is ever sent on.

import net from 'node:net';
import { html, layout, main, page } from '../lib/web.mjs';

const MOST_LETTERS = 50;
const MOST_BYTES = 64 * 1024;
const PATIENCE_SECONDS = 60;

// --- Letters --------------------------------------------------------------------------------

/** The headers that the page shows, and the text. Only what the broker writes is understood. */
export function read(raw) {
  const cut = raw.indexOf('\r\n\r\n');
  const headers = new Map();
  for (const line of raw.slice(0, cut).replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const encoding = (headers.get('content-transfer-encoding') ?? '7bit').toLowerCase();
  const body = Buffer.from(raw.slice(cut + 4), 'latin1');
  const bytes = {
    base64: () => Buffer.from(body.toString('latin1'), 'base64'),
    'quoted-printable': () => Buffer.from(
      body.toString('latin1').replace(/=\r\n/g, '')
        .replace(/=([0-9A-F]{2})/gi, (_, code) => String.fromCharCode(parseInt(code, 16))),
      'latin1',
    ),
  };
  const text = (bytes[encoding] ?? (() => body))().toString('utf8').replace(/\r\n/g, '\n');
  const word = (value) => value.replace(/=\?utf-8\?b\?([^?]*)\?=/gi, (_, code) => Buffer.from(code, 'base64').toString('utf8'));
  return { from: word(headers.get('from') ?? ''), subject: word(headers.get('subject') ?? ''), text: text.trim() };
}

/** Speaks SMTP on a port of this machine, and gives each letter to `keep(letter)`. */
export function receive(port, keep) {
  const server = net.createServer((socket) => {
    let recipients = [];
    let data;
    let rest = '';
    const say = (line) => socket.write(`${line}\r\n`);
    socket.setEncoding('latin1');
    socket.setTimeout(PATIENCE_SECONDS * 1000, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    say('220 mailbox.demo ESMTP: what comes here stays here');
    const verbs = {
      EHLO: () => say('250-mailbox.demo\r\n250-8BITMIME\r\n250 SIZE 65536'),
      HELO: () => say('250 mailbox.demo'),
      MAIL: () => { recipients = []; say('250 2.1.0 ok'); },
      RCPT: (line) => {
        const address = /<([^<>\s]+)>/.exec(line)?.[1];
        if (!address || recipients.length > 10) return say('550 5.1.3 no such address');
        recipients.push(address);
        say('250 2.1.5 ok');
      },
      DATA: () => {
        if (recipients.length === 0) return say('503 5.5.1 to whom?');
        data = '';
        say('354 go on');
      },
      RSET: () => { recipients = []; say('250 2.0.0 ok'); },
      NOOP: () => say('250 2.0.0 ok'),
      QUIT: () => { say('221 2.0.0 bye'); socket.end(); },
    };
    const line = (text) => {
      if (data === undefined) {
        const verb = verbs[text.slice(0, 4).toUpperCase()];
        return verb ? verb(text) : say('502 5.5.1 what?');
      }
      if (text !== '.') {
        data += `${text.startsWith('.') ? text.slice(1) : text}\r\n`;
        return undefined;
      }
      for (const to of recipients) keep({ to, at: new Date(), ...read(data) });
      data = undefined;
      return say('250 2.0.0 kept');
    };
    socket.on('data', (chunk) => {
      rest += chunk;
      if (rest.length + (data?.length ?? 0) > MOST_BYTES) {
        say('552 5.3.4 too long');
        socket.destroy();
        return;
      }
      const lines = rest.split('\r\n');
      rest = lines.pop();
      lines.forEach(line);
    });
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

// --- The page -------------------------------------------------------------------------------

const shell = (main_) =>
  layout({ title: 'Inbox', theme: 'mailbox', brand: 'Mailbox', label: 'stand-in mail server', main: main_ });

const shown = (letter) => html`<article class="card letter">
<h2>${letter.subject}</h2>
<p class="soft small">To <strong>${letter.to}</strong>, from ${letter.from}, at ${letter.at.toLocaleTimeString('en-GB')}</p>
<pre>${letter.text}</pre>
</article>
`;

function inbox(letters) {
  const none = html`<div class="card"><p>No letter yet. Sign in to Notes with Friendbook as Bob, who has no address there: you will be asked for one, and the code comes here.</p></div>`;
  return page(shell(html`<h1>Inbox</h1>
<p class="soft">Every letter that the demo writes, to whomever it goes. <a href="/">Look again</a></p>
${letters.length === 0 ? none : letters.map(shown)}`));
}

export async function mailbox({ smtpPort = Number(process.env.SMTP_PORT ?? 8088) }) {
  const letters = [];
  await receive(smtpPort, (letter) => {
    letters.unshift(letter);
    letters.length = Math.min(letters.length, MOST_LETTERS);
  });
  return { 'GET /': async () => inbox(letters) };
}

await main(import.meta.url, 'Mailbox', mailbox, { port: 8087 });
