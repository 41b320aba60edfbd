// The demo's broker with its two stand-in providers, on ports of its own, with more clients: for tests that begin
// at the page where people choose how to sign in.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePortBase, startDemo } from '../../../examples/demo/demo.mjs';

/** Starts it with `more` at the end of `countersign.toml`; secrets come by `env`. */
export async function startHouse({ more = '', env = {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-interop-'));
  const demo = await startDemo({
    binary: process.env.COUNTERSIGN_BIN, dataDir: folder, portBase: await freePortBase(), env,
    rewrite: (name, text) => (name === 'countersign.toml' ? text + more : text),
  });
  return {
    issuer: demo.addresses.broker,
    log: () => demo.children.map((child) => `--- ${child.name}\n${child.lastLines(60)}`).join('\n'),
    async stop() { await demo.stop(); await rm(folder, { recursive: true, force: true }); },
  };
}

/** From the chooser through a stand-in; answers the page after it, or the stop before `stopAt`. */
export async function throughChooser(browser, page, { provider = 'globex', person = 'alice', consent, stopAt } = {}) {
  let now = await browser.submit(page, { provider }, { stopAt });
  now = await browser.submit(now, { user: person }, { stopAt });
  if (!now.stopped && now.root.querySelector('[name=decision]')) now = await browser.submit(now, { decision: consent ?? 'allow' }, { stopAt });
  return now;
}
