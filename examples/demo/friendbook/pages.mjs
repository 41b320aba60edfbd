import { html, layout, page } from '../lib/web.mjs';

const shell = (title, main) =>
  layout({ title, theme: 'friendbook', brand: 'Friendbook', label: 'stand-in provider', main });

/** One submit button a person, so that it works without JavaScript and for scripts. */
export function picker({ request, people, client, asksEmail }) {
  const buttons = people.map(
    (person) => html`<li><button class="person" name="user" value="${person.username}">
<span class="face" aria-hidden="true">${person.name.slice(0, 1)}</span>
<span><strong>Continue as ${person.first_name}</strong><span class="soft">${person.email ?? 'no e-mail address'}</span></span>
</button></li>
`,
  );
  return page(
    shell(
      'Log in',
      html`<div class="card">
<h1>Log in with Friendbook</h1>
<p class="soft"><strong>${client}</strong> will receive your name${asksEmail ? ' and e-mail address' : ''}.</p>
<form method="post" action="/choose">
<input type="hidden" name="request" value="${request}">
<ul class="people">
${buttons}</ul>
<button class="plain" name="action" value="cancel">Cancel</button>
</form>
</div>
<p class="soft small">Friendbook is a stand-in for a social network with OAuth 2.0 and a Graph API. It asks for no password: pick a person, and you are that person.</p>`,
    ),
  );
}

export function home() {
  return page(
    shell(
      'Home',
      html`<div class="card">
<h1>Friendbook</h1>
<p>Friendbook is a stand-in for a social network: plain OAuth 2.0 at <code>/dialog/oauth</code> and <code>/oauth/access_token</code>, and a Graph API at <code>/me</code>. It has no OpenID Connect, and never says whether an address was proved.</p>
</div>`,
    ),
  );
}

/** For errors that must not be redirected, because app or redirect URI is not known. */
export function refusal(explanation) {
  return page(
    shell(
      'Request refused',
      html`<div class="card">
<h1>Friendbook refused this request</h1>
<p class="message bad">${explanation}</p>
<p class="soft">Go back to the app that you came from, and start again there.</p>
</div>`,
    ),
    { status: 400 },
  );
}
