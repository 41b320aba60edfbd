import { html, layout, page } from '../lib/web.mjs';

const shell = (title, main, nav) =>
  layout({ title, theme: 'acme', brand: 'Acme', label: 'stand-in provider', main, nav });

/** One submit button a person, so that it works without JavaScript and for scripts. */
export function picker({ request, people, hinted, client }) {
  const buttons = people.map(
    (person) => html`<li><button class="person${person === hinted ? ' hint' : ''}" name="user" value="${person.username}">
<span class="face" aria-hidden="true">${person.givenName.slice(0, 1)}</span>
<span><strong>${person.displayName}</strong><span class="soft">${person.title}<br>${person.mail}</span></span>
</button></li>
`,
  );
  return page(
    shell(
      'Sign in',
      html`<div class="card">
<h1>Who is at the desk?</h1>
<p class="soft">to continue to <strong>${client}</strong></p>
<form method="post" action="/choose">
<input type="hidden" name="request" value="${request}">
<ul class="people">
${buttons}</ul>
<button class="plain" name="action" value="cancel">Cancel</button>
</form>
</div>
<p class="soft small">Acme is a stand-in for a company’s SAML identity provider. It asks for no password: pick a person, and you are that person.</p>`,
    ),
  );
}

/** A form that posts itself, with a button where scripts are off (SAML Bindings section 3.5.4). */
export function post({ action, fields, client, headers }) {
  const inputs = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">
`);
  const markup = shell(
    'One moment',
    html`<div class="card">
<h1>One moment …</h1>
<p class="soft">Acme tells <strong>${client}</strong> who you are.</p>
<form method="post" action="${action}">
${inputs}<button>Continue to ${client}</button>
</form>
</div>
<script src="/post.js"></script>`,
  );
  const reply = page(markup, { headers });
  const policy = reply.headers['content-security-policy'];
  reply.headers['content-security-policy'] = `${policy}; script-src 'self'`;
  return reply;
}

/** Posts the page's only form. */
export const POST_SCRIPT = 'document.forms[0].submit();\n';

export function home({ person, entityId }) {
  const who = person
    ? html`<p>You are signed in to Acme as <strong>${person.displayName}</strong>. Apps that send you here get you back at once, without asking.</p>
<form method="post" action="/logout"><button>Sign out of Acme and its apps</button></form>`
    : html`<p>Nobody is signed in to Acme in this browser.</p>`;
  return page(
    shell(
      'Home',
      html`<div class="card">
<h1>Acme</h1>
${who}
</div>
<p class="soft small">Acme is a stand-in for a company’s SAML identity provider. Its metadata is at <a href="/metadata">${entityId}</a>.</p>`,
    ),
  );
}

/** @param everywhere whether the apps confirmed it too */
export function signedOut({ everywhere, client, headers }) {
  const outcome = everywhere
    ? html`<p class="message good">You are signed out of Acme, and of ${client}.</p>`
    : html`<p class="message bad">You are signed out of Acme. ${client} did not confirm that you are signed out there.</p>`;
  return page(
    shell('Signed out', html`<div class="card"><h1>Signed out</h1>
${client ? outcome : html`<p>You are signed out of Acme.</p>`}
</div>`),
    { headers },
  );
}

/** For what must not be answered to the one who asks, because it is not known who that is. */
export function refusal(explanation, status = 400) {
  return page(
    shell(
      'Request refused',
      html`<div class="card">
<h1>Acme refused this request</h1>
<p class="message bad">${explanation}</p>
<p class="soft">Go back to the app that you came from, and start again there.</p>
</div>`,
    ),
    { status },
  );
}
