// Starts the broker itself, as an operator would, on free ports with a configuration of its own.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from './ports.mjs';

const binary = process.env.COUNTERSIGN_BIN;
if (!binary) throw new Error('COUNTERSIGN_BIN must name the broker\'s binary; ./dev test sets it');

/** @returns the running broker: its issuer, its folder, its log, and `stop`. */
export async function startBroker({ config, providers, env = {} }) {
  const [port, management] = await freePorts(2);
  const issuer = `http://localhost:${port}`;
  const folder = await mkdtemp(join(tmpdir(), 'countersign-interop-'));
  await writeFile(join(folder, 'countersign.toml'), config({ issuer, port, management }));
  await writeFile(join(folder, 'providers.toml'), providers({ issuer }));
  const child = spawn(binary, ['serve', '--config', join(folder, 'countersign.toml')], {
    env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = [];
  child.stdout.on('data', (chunk) => log.push(String(chunk)));
  child.stderr.on('data', (chunk) => log.push(String(chunk)));
  let exited;
  child.once('error', (error) => { exited = error.message; });
  const gone = new Promise((resolve) => child.once('exit', (code) => { exited = code ?? 'signal'; resolve(); }));
  for (let tries = 0; ; tries += 1) {
    if (exited !== undefined) throw new Error(`the broker ended with ${exited}:\n${log.join('')}`);
    if (tries > 200) { child.kill('SIGKILL'); throw new Error(`the broker did not get ready:\n${log.join('')}`); }
    const answer = await fetch(`http://127.0.0.1:${management}/ready`).catch(() => undefined);
    if (answer?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    issuer, folder, log,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(timer);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
