import { html, layout, page } from '../lib/web.mjs';

const shell = (title, main, nav) =>
  layout({ title, theme: 'globex', brand: 'Globex', label: 'stand-in provider', main, nav });

/** One submit button a person, so that it works without JavaScript and for scripts. */
export function picker({ request, people, hinted, client }) {
  const buttons = people.map(
    (person) => html`<li><button class="person${person === hinted ? ' hint' : ''}" name="user" value="${person.username}">
<span class="face" aria-hidden="true">${person.name.slice(0, 1)}</span>
<span><strong>${person.name}</strong><span class="soft">${person.email}</span></span>
</button></li>
`,
  );
  return page(
    shell(
      'Choose an account',
      html`<div class="card">
<h1>Choose an account</h1>
<p class="soft">to continue to <strong>${client}</strong></p>
<form method="post" action="/choose">
<input type="hidden" name="request" value="${request}">
<ul class="people">
${buttons}</ul>
<button class="plain" name="action" value="cancel">Cancel</button>
</form>
</div>
<p class="soft small">Globex is a stand-in for an OpenID Connect provider. It asks for no password: pick a person, and you are that person.</p>`,
    ),
  );
}

export function home({ person, issuer }) {
  const who = person
    ? html`<p>You are signed in to Globex as <strong>${person.name}</strong>. Apps that send you here get you back at once, without asking.</p>
<form method="post" action="/logout"><button>Sign out of Globex</button></form>`
    : html`<p>Nobody is signed in to Globex in this browser.</p>`;
  return page(
    shell(
      'Home',
      html`<div class="card">
<h1>Globex</h1>
${who}
</div>
<p class="soft small">Globex is a stand-in for an OpenID Connect provider. Its metadata is at <a href="/.well-known/openid-configuration">${issuer}/.well-known/openid-configuration</a>.</p>`,
    ),
  );
}

export function confirmLogout() {
  return page(
    shell(
      'Sign out',
      html`<div class="card">
<h1>Sign out of Globex?</h1>
<form method="post" action="/logout" class="actions"><button>Sign out</button></form>
</div>`,
    ),
  );
}

export function signedOut(headers) {
  return page(
    shell('Signed out', html`<div class="card"><h1>Signed out</h1><p>You are signed out of Globex.</p></div>`),
    { headers },
  );
}

/** For errors that must not be redirected, because client or redirect URI is not known. */
export function refusal(explanation, status = 400) {
  return page(
    shell(
      'Request refused',
      html`<div class="card">
<h1>Globex refused this request</h1>
<p class="message bad">${explanation}</p>
<p class="soft">Go back to the app that you came from, and start again there.</p>
</div>`,
    ),
    { status },
  );
}
