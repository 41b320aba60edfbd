// A person's browser without scripts, and the app that sends it to the broker, for the plans in which the suite
// is the provider.

import { createHash, randomBytes } from 'node:crypto';
import { parse } from 'node-html-parser';
import { BROKER } from './house.mjs';

const CALLBACK = 'http://localhost:9082/callback';
const HOPS = 20;

const newVerifier = () => randomBytes(32).toString('base64url');
const challenge = (verifier) => createHash('sha256').update(verifier).digest('base64url');

export class Driver {
  #cookies = new Map();

  async #open(url, init = {}) {
    let current = new URL(url);
    let request = { method: 'GET', ...init };
    for (let hop = 0; hop < HOPS; hop += 1) {
      if (current.href.startsWith(CALLBACK)) return { url: current, answer: Object.fromEntries(current.searchParams) };
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(current, {
        ...request, redirect: 'manual', headers: { accept: 'text/html', ...(cookie && { cookie }), ...request.headers },
      });
      for (const line of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        if (/max-age=0\b/i.test(line)) this.#cookies.delete(name);
        else this.#cookies.set(name, value);
      }
      const text = await response.text();
      const location = response.headers.get('location');
      if (location) {
        current = new URL(location, current);
        request = { method: 'GET' };
        continue;
      }
      const page = parse(text);
      // A page that posts itself: the provider's answer as a form, or the same-site bounce.
      const form = page.querySelector('form[method=post]');
      const posts = form && (form.hasAttribute('data-autopost') || !current.href.startsWith(BROKER));
      if (!posts) return { url: current, status: response.status, page };
      const fields = form.querySelectorAll('input[name]').map((input) => [input.getAttribute('name'), input.getAttribute('value') ?? '']);
      request = {
        method: 'POST', body: new URLSearchParams(fields),
        headers: { origin: current.origin, 'content-type': 'application/x-www-form-urlencoded' },
      };
      current = new URL(form.getAttribute('action') ?? current, current);
    }
    throw new Error(`more than ${HOPS} redirects, last to ${current}`);
  }

  /** A sign-in by a client whose people go to the suite. Says `code`, or the page or error that refused it. */
  async signIn(client) {
    const query = new URLSearchParams({
      client_id: client, response_type: 'code', redirect_uri: CALLBACK, scope: 'openid profile email',
      state: randomBytes(8).toString('hex'), nonce: randomBytes(8).toString('hex'),
      code_challenge: challenge(newVerifier()), code_challenge_method: 'S256',
    });
    const { answer, page } = await this.#open(`${BROKER}/authorize?${query}`);
    if (answer?.code) return { signedIn: true, said: 'signed in' };
    const said = answer?.error ?? page?.querySelector('h1')?.text ?? 'an empty page';
    const reference = page?.querySelector('.reference code')?.text;
    return { signedIn: false, said, reference };
  }

  /** Whether the broker still has the session: it can answer without a question. */
  async stillSignedIn(client) {
    const query = new URLSearchParams({
      client_id: client, response_type: 'code', redirect_uri: CALLBACK, scope: 'openid', prompt: 'none',
      state: 's', code_challenge: challenge(newVerifier()), code_challenge_method: 'S256',
    });
    const { answer } = await this.#open(`${BROKER}/authorize?${query}`);
    return answer?.code !== undefined;
  }

  /** Signs out at the provider. */
  async signOutAt(endpoint, { hint, back }) {
    const query = new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: back, state: 'bye' });
    await this.#open(`${endpoint}?${query}`);
  }
}
