// A browser without scripts: follows redirects and pages that lead on by themselves, keeps cookies by host (not by
// port, as browsers do), sends the forms of a page, and says that it navigates.
import http from 'node:http';
import { parse } from 'node-html-parser';

/** One request, without `fetch`: that says of itself that it is a script's. */
function request(url, { method, body, headers }) {
  return new Promise((resolve, reject) => {
    const asked = http.request(url, { method, headers }, async (response) => {
      try {
        let text = '';
        response.setEncoding('utf8');
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode, headers: new Headers(pairs(response.rawHeaders)), text });
      } catch (error) {
        reject(error);
      }
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

const pairs = (raw) => Array.from({ length: raw.length / 2 }, (_, at) => [raw[2 * at], raw[2 * at + 1]]);

export class Browser {
  #jar = new Map();

  /** Opens an address and follows redirects, stopping before `stopAt` (a prefix) is asked for. */
  async open(url, { method = 'GET', body, stopAt, headers = {} } = {}) {
    let current = new URL(url);
    for (let hops = 0; hops < 30; hops += 1) {
      if (stopAt && current.href.startsWith(stopAt)) return { url: current, stopped: true };
      const response = await request(current, {
        method, body,
        headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...this.#cookies(current), ...(body ? { 'content-type': 'application/x-www-form-urlencoded', origin: this.origin ?? current.origin } : {}), ...headers },
      });
      this.#keep(current, response);
      const location = response.headers.get('location');
      if (response.status >= 300 && response.status < 400 && location) {
        current = new URL(location, current);
        if (response.status !== 307 && response.status !== 308) { method = 'GET'; body = undefined; }
        continue;
      }
      const { text } = response;
      this.origin = current.origin;
      // A page that leads on by itself, as browsers without scripts follow it.
      const refresh = /<meta http-equiv="refresh" content="0; url=([^"]*)">/i.exec(text)?.[1];
      if (refresh) {
        [current, method, body] = [new URL(decode(refresh), current), 'GET', undefined];
        continue;
      }
      return { url: current, status: response.status, headers: response.headers, text, root: parse(text) };
    }
    throw new Error(`too many redirects, last to ${current}`);
  }

  /** Sends the form of a page that has a control of this name; `values` are added to its hidden fields. */
  async submit(page, values, { control = Object.keys(values)[0], stopAt } = {}) {
    const forms = page.root.querySelectorAll('form');
    const form = forms.find((f) => f.querySelectorAll('input,button,select').some((c) => c.getAttribute('name') === control
      && (c.tagName !== 'BUTTON' || values[control] === undefined || c.getAttribute('value') === values[control])));
    if (!form) throw new Error(`no form with ${control} on ${page.url}:\n${page.text.slice(0, 2000)}`);
    const fields = new URLSearchParams();
    for (const input of form.querySelectorAll('input')) {
      const name = input.getAttribute('name');
      if (name && input.getAttribute('type') === 'hidden') fields.append(name, decode(input.getAttribute('value') ?? ''));
    }
    for (const [name, value] of Object.entries(values)) if (value !== undefined) fields.set(name, value);
    const action = new URL(decode(form.getAttribute('action') ?? '') || page.url, page.url);
    const method = (form.getAttribute('method') ?? 'get').toUpperCase();
    if (method === 'GET') { action.search = fields; return this.open(action, { stopAt }); }
    return this.open(action, { method, body: fields.toString(), stopAt });
  }

  /** The form on a page that posts to this address, if there is one: where to, and its hidden fields. */
  formTo(page, address) {
    const form = page.root?.querySelectorAll('form').find((f) => decode(f.getAttribute('action') ?? '').startsWith(address)
      && f.getAttribute('method')?.toLowerCase() === 'post');
    if (!form) return undefined;
    const fields = new URLSearchParams();
    for (const input of form.querySelectorAll('input')) {
      if (input.getAttribute('type')?.toLowerCase() === 'hidden') fields.append(input.getAttribute('name'), decode(input.getAttribute('value') ?? ''));
    }
    return { url: decode(form.getAttribute('action')), form: fields };
  }

  /** Forgets everything. */
  clear() { this.#jar.clear(); }

  /** Those of `Secure` go to this machine without TLS too, as in browsers. */
  #cookies(url) {
    const now = Date.now();
    const mine = [...(this.#jar.get(url.hostname)?.values() ?? [])]
      .filter((c) => url.pathname.startsWith(c.path) && (!c.secure || url.protocol === 'https:' || url.hostname === 'localhost') && c.expires > now);
    return mine.length ? { cookie: mine.map((c) => `${c.name}=${c.value}`).join('; ') } : {};
  }

  #keep(url, response) {
    const jar = this.#jar.get(url.hostname) ?? new Map();
    this.#jar.set(url.hostname, jar);
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const at = pair.indexOf('=');
      const cookie = { name: pair.slice(0, at), value: pair.slice(at + 1), path: '/', expires: Infinity, secure: false };
      for (const attribute of attributes) {
        const [key, value] = attribute.split('=');
        if (/^path$/i.test(key)) cookie.path = value;
        if (/^secure$/i.test(key)) cookie.secure = true;
        if (/^max-age$/i.test(key)) cookie.expires = Date.now() + Number(value) * 1000;
        if (/^expires$/i.test(key) && cookie.expires === Infinity) cookie.expires = Date.parse(attribute.slice(8));
      }
      if (cookie.expires <= Date.now()) jar.delete(cookie.name); else jar.set(cookie.name, cookie);
    }
  }
}

const decode = (text) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#x27;', "'").replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&#38;', '&').replaceAll('&#34;', '"').replaceAll('&#60;', '<').replaceAll('&#62;', '>');
