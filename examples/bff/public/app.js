// Board's page. It knows who is signed in and what the API answered; it has no token, and no way to get one.

const at = (id) => document.getElementById(id);

/** Every request carries our own header, which no form and no script of another origin can send. */
async function ask(path, { method = 'GET', value } = {}) {
  const response = await fetch(`/bff/${path}`, {
    method,
    headers: { 'x-board': '1', ...(value === undefined ? {} : { 'content-type': 'application/json' }) },
    body: value === undefined ? undefined : JSON.stringify(value),
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  return answer;
}

function say(text, bad = false) {
  at('message').textContent = text;
  at('message').hidden = text === '';
  at('message').classList.toggle('bad', bad);
}

function show(view) {
  for (const id of ['loading', 'welcome', 'board']) at(id).hidden = id !== view;
  at('person').hidden = view !== 'board';
}

function draw(pins) {
  at('pins').replaceChildren(...pins.map(({ text, by }) => {
    const [item, words, author] = ['li', 'p', 'small'].map((name) => document.createElement(name));
    words.textContent = text;
    author.textContent = `by ${by}`;
    item.classList.toggle('mine', by === 'you');
    item.append(words, author);
    return item;
  }));
}

/** Does something that needs a session, and says so in words when it does not work. */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    if (error.status === 401) {
      if (!at('board').hidden) say('Your session has ended. Sign in again to go on.');
      show('welcome');
    } else if (error.status === 403) {
      say('You may not do that.', true);
    } else {
      say('That did not work. Try again in a moment.', true);
    }
  }
}

at('form').addEventListener('submit', (event) => {
  event.preventDefault();
  attempt(async () => {
    const { pins } = await ask('api/pins', { method: 'POST', value: { text: at('text').value } });
    say('');
    draw(pins);
    at('form').reset();
  });
});

at('sign-out').addEventListener('click', () => attempt(async () => {
  const { next } = await ask('sign-out', { method: 'POST' });
  location.assign(next);
}));

const notes = {
  '#again': 'That sign-in is no longer open, or began in another browser. Please sign in again.',
  '#cancelled': 'You are not signed in.',
  '#failed': 'The sign-in did not work. Please try again.',
};
if (notes[location.hash]) {
  say(notes[location.hash], location.hash !== '#cancelled');
  history.replaceState(null, '', '/');
}

await attempt(async () => {
  const person = await ask('who');
  const { pins } = await ask('api/pins');
  at('name').textContent = person.name;
  const mayPin = person.permissions.includes('notes:write');
  at('text').disabled = !mayPin;
  at('pin').disabled = !mayPin;
  at('hint').hidden = mayPin;
  draw(pins);
  show('board');
});
if (!at('loading').hidden) show('welcome');
