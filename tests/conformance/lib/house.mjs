// The broker under test and Globex, in a folder of their own, with a certificate made for the run.

import { execFileSync, spawn } from 'node:child_process';
import { closeSync, copyFileSync, cpSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const ROOT = path.resolve(HERE, '../..');
const READY = 'http://127.0.0.1:9449/ready';
const GLOBEX_PORT = 9081;

export const BROKER = 'https://localhost:9443';

function certificates(folder) {
  const tls = path.join(folder, 'tls');
  if (existsSync(tls)) return;
  mkdirSync(tls);
  const openssl = (...rest) => execFileSync('openssl', rest, { cwd: tls, stdio: 'pipe' });
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=localhost',
    '-keyout', 'localhost.key', '-out', 'localhost.pem', '-addext', 'subjectAltName=DNS:localhost');
}

export class House {
  #children = [];

  /** @param suiteCa a PEM file with what signed the certificate of the suite's front */
  constructor({ folder, binary, suiteCa }) {
    Object.assign(this, { folder, binary });
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const name of ['countersign.toml', 'providers.toml', 'secrets']) {
      cpSync(path.join(HERE, name), path.join(folder, name), { recursive: true });
    }
    copyFileSync(suiteCa, path.join(folder, 'suite-ca.pem'));
    certificates(folder);
  }

  #spawn(name, command, args, env = {}) {
    const log = openSync(path.join(this.folder, `${name}.log`), 'a');
    const child = spawn(command, args, {
      cwd: this.folder, env: { ...process.env, ...env }, stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.gone = new Promise((resolve) => child.once('exit', resolve));
    this.#children.push(child);
    return child;
  }

  async #until(url, child, name) {
    for (let tries = 0; tries < 200; tries += 1) {
      if (child.exitCode !== null) throw new Error(`${name} ended: see ${this.folder}/${name}.log`);
      const answer = await fetch(url).catch(() => undefined);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${name} did not get ready: see ${this.folder}/${name}.log`);
  }

  async start() {
    const globex = this.#spawn('globex', process.execPath, [path.join(ROOT, 'examples/demo/globex/server.mjs')], {
      PORT: String(GLOBEX_PORT), BROKER_URL: BROKER,
    });
    await this.#until(`http://localhost:${GLOBEX_PORT}/.well-known/openid-configuration`, globex, 'globex');
    await this.startBroker();
  }

  /** Starts the broker, which knows nothing of a provider that has been replaced meanwhile. */
  async startBroker() {
    this.broker = this.#spawn('broker', this.binary, ['serve', '--config', 'countersign.toml']);
    await this.#until(READY, this.broker, 'broker');
  }

  /** Stops the broker, which asks for the provider's documents by itself, until the provider is there. */
  async stopBroker() {
    this.broker.kill('SIGTERM');
    await this.broker.gone;
  }

  /** Whether the broker runs. */
  running() {
    return this.broker.exitCode === null && this.broker.signalCode === null;
  }

  /**
   * Rotates the RSA key, as an operator would. The broker notices within a second or two. (The suite compares new
   * keys by type, and does not know Ed25519.)
   */
  async rotateKeys() {
    execFileSync(this.binary, ['keys', 'rotate', '--alg', 'rs256', '--config', 'countersign.toml'], { cwd: this.folder, stdio: 'pipe' });
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }

  async stop() {
    for (const child of this.#children) child.kill('SIGTERM');
    await Promise.all(this.#children.map((child) => child.gone));
  }
}
