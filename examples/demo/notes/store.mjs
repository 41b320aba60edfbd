// Notes in a JSON file, so that they are still there at the next start.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const FIRST_NOTES = [
  { id: 1, author: 'Notes', text: 'Welcome! Everyone who is signed in may read. Writing needs a permission.' },
  { id: 42, author: 'Notes', text: 'If you came here by a link and had to sign in first, you still arrived at note 42.' },
];

export class NoteStore {
  #file;
  #notes;

  /** Without a folder, notes live as long as the process. */
  constructor(folder) {
    this.#file = folder && path.join(folder, 'notes.json');
    this.#notes = this.#read() ?? FIRST_NOTES;
  }

  #read() {
    try {
      return this.#file && JSON.parse(readFileSync(this.#file, 'utf8'));
    } catch (error) {
      if (error.code === 'ENOENT') return undefined;
      throw new Error(`cannot read ${this.#file}: ${error.message}`);
    }
  }

  all() {
    return [...this.#notes].reverse();
  }

  get(id) {
    return this.#notes.find((note) => String(note.id) === id);
  }

  add(author, text) {
    const note = { id: Math.max(...this.#notes.map(({ id }) => id)) + 1, author, text };
    const notes = [...this.#notes, note];
    if (this.#file) {
      mkdirSync(path.dirname(this.#file), { recursive: true });
      writeFileSync(`${this.#file}.new`, JSON.stringify(notes, null, 2));
      renameSync(`${this.#file}.new`, this.#file);
    }
    this.#notes = notes;
    return note;
  }
}
