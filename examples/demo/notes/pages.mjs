import { html, layout, page } from '../lib/web.mjs';

function shell({ title, main, session, wide = false, csrf, pageOptions, signInPath = '/sign-in' }) {
  const nav = session
    ? html`<form method="post" action="/sign-out"><input type="hidden" name="csrf" value="${csrf}"><button class="plain" id="sign-out">Sign out</button></form>`
    : html`<a class="button" id="sign-in" href="${signInPath}">Sign in</a>`;
  return page(layout({ title, theme: 'notes', brand: 'Notes', label: 'example app', nav, main, wide }), pageOptions);
}

const signInTo = (path) => `/sign-in?return_to=${encodeURIComponent(path)}`;

function chips(id, names) {
  if (names.length === 0) return html`<ul class="chips" id="${id}"></ul><span class="soft">none</span>`;
  return html`<ul class="chips" id="${id}">${names.map((name) => html`<li>${name}</li>`)}</ul>`;
}

function whoYouAre(person) {
  return html`<section class="card" aria-labelledby="who">
<h2 id="who">Who you are</h2>
<dl class="facts">
<div><dt>Name</dt><dd id="name">${person.name ?? 'not told'}</dd></div>
<div><dt>E-mail address</dt><dd id="email">${person.email ?? 'not told'}${
    person.email === undefined ? '' : html` <span class="soft" id="email-verified">${person.email_verified ? '(verified)' : '(not verified)'}</span>`
  }</dd></div>
<div><dt>Groups</dt><dd>${chips('groups', person.groups)}</dd></div>
<div><dt>Roles</dt><dd>${chips('roles', person.roles)}</dd></div>
<div><dt>Permissions</dt><dd>${chips('permissions', person.permissions)}</dd></div>
<div><dt>Subject</dt><dd><code id="sub">${person.sub}</code></dd></div>
</dl>
</section>`;
}

function writing(csrf, mayWrite) {
  const disabled = mayWrite ? '' : html` disabled`;
  return html`<section class="card" aria-labelledby="write">
<h2 id="write">Write a note</h2>
<form method="post" action="/notes" id="new-note">
<input type="hidden" name="csrf" value="${csrf}">
<label for="text">Text</label>
<textarea id="text" name="text" rows="3" maxlength="500" required${disabled}></textarea>
<button id="save"${disabled}>Save</button>
</form>
${mayWrite ? '' : html`<p class="soft small" id="read-only">You may read notes. Writing needs the permission <code>notes:write</code>.</p>`}
</section>`;
}

export function welcome({ issuer, signedOut }) {
  return shell({
    title: 'Welcome',
    main: html`${signedOut ? html`<p class="message good" id="signed-out" role="status">You are signed out.</p>` : ''}
<div class="card">
<h1>Notes</h1>
<p>A small app that knows one OpenID Connect issuer, <code>${issuer}</code>, and none of the providers behind it.</p>
<p class="actions"><a class="button" href="/sign-in">Sign in to read notes</a></p>
</div>`,
  });
}

export function list({ session, person, notes, mayWrite }) {
  return shell({
    title: 'All notes',
    session,
    csrf: session.csrf,
    wide: true,
    main: html`<h1>Hello, ${person.given_name ?? person.name ?? 'stranger'}</h1>
<div class="columns">
<div>
<section class="card" aria-labelledby="all">
<h2 id="all">Notes</h2>
${notes.map(
  (note) => html`<article class="note"><p>${note.text}</p><span class="soft small"><a href="/notes/${note.id}">Note ${note.id}</a> by ${note.author}</span></article>
`,
)}
</section>
${writing(session.csrf, mayWrite)}
</div>
${whoYouAre(person)}
</div>`,
  });
}

export function single({ session, person, note }) {
  return shell({
    title: `Note ${note.id}`,
    session,
    csrf: session.csrf,
    wide: true,
    main: html`<div class="columns">
<section class="card">
<h1>Note ${note.id}</h1>
<article class="note" id="note"><p>${note.text}</p><span class="soft small">by ${note.author}</span></article>
<p class="actions"><a href="/">All notes</a></p>
</section>
${whoYouAre(person)}
</div>`,
  });
}

export function notice({ session, title, text, status }) {
  return shell({
    title,
    session,
    csrf: session?.csrf,
    main: html`<div class="card"><h1>${title}</h1><p>${text}</p><p class="actions"><a class="button" href="/">All notes</a></p></div>`,
    pageOptions: { status },
  });
}

const EXPLANATIONS = {
  access_denied: 'You cancelled, or you may not use this app.',
  login_required: 'You have to sign in first.',
  temporarily_unavailable: 'Sign-in is busy just now.',
  server_error: 'Sign-in had a fault of its own.',
  unknown_sign_in: 'This browser has no sign-in under way that fits. It may have been finished already, or was left for too long.',
  issuer_unreachable: 'The sign-in service cannot be reached just now.',
};

/** A sign-in that did not work out; *Try again* leads to the page that was wanted. */
export function failed({ code, description, returnTo, status = 400 }) {
  return shell({
    title: 'Not signed in',
    signInPath: signInTo(returnTo),
    main: html`<div class="card">
<h1>You are not signed in</h1>
<p class="message bad" id="error">${EXPLANATIONS[code] ?? 'The sign-in did not work out.'}</p>
<p class="soft small">Code: <code id="error-code">${code}</code>${description ? html` · ${description}` : ''}</p>
<p class="actions"><a class="button" id="try-again" href="${signInTo(returnTo)}">Try again</a> <a href="/">Home</a></p>
</div>`,
    pageOptions: { status },
  });
}
