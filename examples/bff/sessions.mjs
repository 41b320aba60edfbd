// What the server remembers of browsers: a bounded number of entries, each with an end.

import { createHash, randomBytes } from 'node:crypto';

const digest = (key) => createHash('sha256').update(key).digest('base64url');

/**
 * Values under random keys that only the browser holds; here are the digests, so that a dump of this process's memory
 * map or log gives nobody a session. When there are too many, the one that was used longest ago goes.
 */
export class Bounded {
  #entries = new Map();

  /** @param idle, absolute seconds; @param most entries */
  constructor({ idle, absolute = idle, most, now = Date.now }) {
    Object.assign(this, { idle, absolute, most, now });
  }

  get size() {
    return this.#entries.size;
  }

  /** Keeps a value, and answers the key to it. */
  add(value) {
    const key = randomBytes(32).toString('base64url');
    while (this.#entries.size >= this.most) this.#entries.delete(this.#entries.keys().next().value);
    this.#entries.set(digest(key), { value, born: this.now(), used: this.now() });
    return key;
  }

  /** The value, if its time has not passed; looking at it counts as use. */
  get(key) {
    const name = digest(key ?? '');
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    this.#entries.delete(name);
    const now = this.now();
    if (now - entry.used > this.idle * 1000 || now - entry.born > this.absolute * 1000) return undefined;
    entry.used = now;
    // Put last: the order of a Map is the order in which its entries came.
    this.#entries.set(name, entry);
    return entry.value;
  }

  /** Gets the value and forgets it: a second take finds nothing. */
  take(key) {
    const value = this.get(key);
    this.delete(key);
    return value;
  }

  delete(key) {
    this.#entries.delete(digest(key ?? ''));
  }

  /** Forgets every value of which this is true, and says how many there were. */
  deleteWhere(predicate) {
    let count = 0;
    for (const [name, { value }] of this.#entries) {
      if (!predicate(value)) continue;
      this.#entries.delete(name);
      count += 1;
    }
    return count;
  }

  /** Forgets what has ended; to be called now and then. */
  sweep() {
    const now = this.now();
    for (const [name, entry] of this.#entries) {
      if (now - entry.used > this.idle * 1000 || now - entry.born > this.absolute * 1000) this.#entries.delete(name);
    }
  }
}
