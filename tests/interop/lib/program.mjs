// Runs a program that opens "the system's browser": that is a script of ours, which writes down the address.
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const SCRIPT = `#!/bin/sh
printf '%s' "$1" >"$OPENED.part" && mv "$OPENED.part" "$OPENED"
`;

/** Starts it; answers the address that it opens, and a promise of what it printed by its end. */
export async function runProgram(command, parameters, env = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-native-'));
  const script = join(folder, 'xdg-open');
  const opened = join(folder, 'opened');
  await writeFile(script, SCRIPT);
  await chmod(script, 0o755);
  const child = spawn(command, parameters, {
    env: { ...process.env, ...env, PATH: `${folder}${delimiter}${process.env.PATH}`, BROWSER: `${script} %s`, OPENED: opened },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => { said[name] += chunk; });
  let ended = false;
  const result = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', async (code) => {
      ended = true;
      await rm(folder, { recursive: true, force: true });
      if (code === 0) resolve(said.stdout); else reject(new Error(`it ended with ${code}:\n${said.stderr}`));
    });
  });
  // Whoever waits for the result sees the failure; before that it must not count as unhandled.
  result.catch(() => {});
  const asked = (async () => {
    for (let tries = 0; tries < 600 && !ended; tries += 1) {
      const url = await readFile(opened, 'utf8').catch(() => undefined);
      if (url) return new URL(url);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill('SIGKILL');
    await result;
    throw new Error('it opened no browser');
  })();
  return { asked: await asked, result, stop: () => child.kill('SIGKILL') };
}
