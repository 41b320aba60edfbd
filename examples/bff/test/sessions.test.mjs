import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bounded } from '../sessions.mjs';

test('a session ends when it is idle, and after its absolute lifetime however busy it is', () => {
  let now = 0;
  const sessions = new Bounded({ idle: 60, absolute: 150, most: 10, now: () => now });
  const [busy, idle] = [sessions.add('busy'), sessions.add('idle')];
  for (now of [50_000, 100_000, 150_000]) assert.equal(sessions.get(busy), 'busy');
  assert.equal(sessions.get(idle), undefined);
  now = 151_000;
  assert.equal(sessions.get(busy), undefined);
});

test('there are never more than the bound, and the one that was used longest ago goes', () => {
  const sessions = new Bounded({ idle: 60, most: 2 });
  const first = sessions.add(1);
  const second = sessions.add(2);
  assert.equal(sessions.get(first), 1);
  const third = sessions.add(3);
  assert.equal(sessions.size, 2);
  assert.deepEqual([first, second, third].map((key) => sessions.get(key)), [1, undefined, 3]);
});

test('a sweep forgets what has ended, and only that', () => {
  let now = 0;
  const sessions = new Bounded({ idle: 60, most: 10, now: () => now });
  sessions.add('old');
  now = 50_000;
  const young = sessions.add('young');
  now = 70_000;
  sessions.sweep();
  assert.equal(sessions.size, 1);
  assert.equal(sessions.get(young), 'young');
});

test('what is taken is gone, and no key opens nothing', () => {
  const sessions = new Bounded({ idle: 60, most: 10 });
  const key = sessions.add('once');
  assert.equal(sessions.take(key), 'once');
  assert.equal(sessions.take(key), undefined);
  for (const none of [undefined, '', 'x']) assert.equal(sessions.get(none), undefined);
});
