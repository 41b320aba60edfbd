// Measures one broker with 1, 100 and 10,000 providers: the real release binary over HTTP, providers of all kinds, and
// a stand-in on loopback that signs people in. `./dev bench providers` runs it.
//
//   node tests/bench/providers.mjs PATH-OF-THE-BINARY [--counts 1,100,10000] [--json FILE]

import { execFileSync, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const TICKS = 100; // of /proc/PID/stat, per second (getconf CLK_TCK on Linux)
const PAGES = 2000;
const SIGN_INS = 300;
const CALLBACK = 'http://localhost:9/callback';
const SECRET = 'the-secret-of-the-bench-app-0123456789';

const options = process.argv.slice(2);
const option = (name) => (options.includes(name) ? options.splice(options.indexOf(name), 2)[1] : undefined);
const counts = (option('--counts') ?? '1,100,10000').split(',').map(Number);
const file = option('--json');
const [binary] = options;
if (!binary || counts.some((count) => !(count > 0))) {
  console.error('usage: node tests/bench/providers.mjs BINARY [--counts 1,100,10000] [--json FILE]');
  process.exit(2);
}

// --- The stand-in: every path below /p/NAME is an issuer of its own -------------------------------------------

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' };
const b64 = (value) => Buffer.from(value).toString('base64url');
const codes = new Map();

function token(claims) {
  const text = `${b64(JSON.stringify({ alg: 'ES256', kid: 'bench' }))}.${b64(JSON.stringify(claims))}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

function standin() {
  const asked = { count: 0 };
  const server = http.createServer(async (request, response) => {
    asked.count += 1;
    const url = new URL(request.url, 'http://localhost');
    const [, , name, what] = url.pathname.split('/');
    const issuer = `http://localhost:${server.address().port}/p/${name}`;
    const json = (body) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(body));
    };
    if (url.pathname.endsWith('/.well-known/openid-configuration')) {
      return json({
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        jwks_uri: `${issuer}/jwks`,
        userinfo_endpoint: `${issuer}/userinfo`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
        authorization_response_iss_parameter_supported: true,
      });
    }
    let body = '';
    for await (const chunk of request) body += chunk;
    switch (what) {
      case 'jwks':
        return json({ keys: [jwk] });
      case 'authorize': {
        const code = randomBytes(16).toString('hex');
        codes.set(code, { nonce: url.searchParams.get('nonce'), name });
        const back = new URL(url.searchParams.get('redirect_uri'));
        for (const [key, value] of Object.entries({ code, state: url.searchParams.get('state'), iss: issuer })) {
          back.searchParams.set(key, value);
        }
        response.writeHead(302, { location: back.href });
        return response.end();
      }
      case 'token': {
        const { nonce } = codes.get(new URLSearchParams(body).get('code')) ?? {};
        const now = Math.floor(Date.now() / 1000);
        const person = { sub: 'bench', name: 'Bench Person', email: `bench@${name}.example`, email_verified: true };
        const id_token = token({ iss: issuer, aud: 'countersign', iat: now, exp: now + 300, nonce, ...person });
        return json({ access_token: 'access', token_type: 'Bearer', expires_in: 300, id_token });
      }
      case 'userinfo':
        return json({ sub: 'bench', name: 'Bench Person', email: `bench@${name}.example`, email_verified: true });
      default:
        response.writeHead(404);
        return response.end();
    }
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ server, asked, port: server.address().port }));
  });
}

// --- The configuration ------------------------------------------------------------------------------------------

const WORDS = ['Alder', 'Birch', 'Cedar', 'Elm', 'Fir', 'Hazel', 'Juniper', 'Larch', 'Maple', 'Oak', 'Pine', 'Rowan'];
const nameOf = (at) => `${WORDS[at % WORDS.length]} ${WORDS[(at * 7 + 3) % WORDS.length]} ${at}`;
const idOf = (at) => `company-${at}`;

// Of ten, seven speak OpenID Connect, one plain OAuth 2.0, and two SAML with metadata set by hand.
function provider(at, port) {
  const origin = `http://localhost:${port}/p/${idOf(at)}`;
  const common = `[[provider]]\nid = "${idOf(at)}"\nname = "${nameOf(at)}"\nprovisioning = "open"\n`;
  const domain = `authoritative_for = ["${idOf(at)}.example"]\n`;
  const client = 'client_id = "countersign"\nclient_secret = "env:STANDIN_SECRET"\nallow_loopback = true\n';
  switch (at % 10) {
    case 3:
      return (
        `${common}kind = "oauth2"\nauthorize_url = "${origin}/authorize"\ntoken_url = "${origin}/token"\n` +
        `userinfo_url = "${origin}/userinfo"\nsubject = "sub"\n${client}`
      );
    case 5:
    case 8:
      return (
        `${common}kind = "saml"\nentity_id = "https://${idOf(at)}.example/metadata"\n` +
        `sso_url = "https://${idOf(at)}.example/sso"\ncertificates = ["file:idp.pem"]\nemail_verified = "true"\n${domain}`
      );
    default:
      return `${common}kind = "oidc"\nissuer = "${origin}"\n${client}${domain}`;
  }
}

const freePort = () =>
  new Promise((resolve) => {
    const probe = http.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

async function configure(folder, count, standinPort) {
  const [port, management] = [await freePort(), await freePort()];
  writeFileSync(
    path.join(folder, 'countersign.toml'),
    `issuer = "http://localhost:${port}"
development = true
master_key = "env:MASTER_KEY"
providers = "providers.toml"
[public]
listen = ["127.0.0.1:${port}"]
[management]
listen = "127.0.0.1:${management}"
[database]
url = "sqlite:countersign.sqlite3"
[limits]
rate_limit = false
[[client]]
id = "bench"
name = "Bench"
secret = "env:BENCH_SECRET"
redirect_uris = ["${CALLBACK}"]
scopes = ["openid", "profile", "email"]
first_party = true
`,
  );
  execFileSync(binary, ['saml-key', path.join(folder, 'key.pem')]);
  const certificate = /-----BEGIN CERTIFICATE-----[^]*-----END CERTIFICATE-----\n/;
  writeFileSync(path.join(folder, 'idp.pem'), certificate.exec(readFileSync(path.join(folder, 'key.pem'), 'utf8'))[0]);
  // One more that is not on the list, so that a single provider has a list too and is not gone to at once.
  const hidden = provider(0, standinPort).replaceAll(idOf(0), 'hidden').replace(/name = .*/, 'hidden = true\nname = "Hidden"');
  const providers = [hidden, ...Array.from({ length: count }, (_, at) => provider(at, standinPort))].join('\n');
  writeFileSync(path.join(folder, 'providers.toml'), providers);
  return { port, management, providers };
}

// --- The broker, and what it uses -------------------------------------------------------------------------------

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

function call(url, { method = 'GET', cookies, form, headers = {} } = {}) {
  const body = form && new URLSearchParams(form).toString();
  return new Promise((resolve, reject) => {
    const request = http.request(
      url,
      {
        agent,
        method,
        headers: {
          ...headers,
          ...(cookies?.size && { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }),
          ...(body && { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }),
        },
      },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => {
          for (const cookie of response.headers['set-cookie'] ?? []) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
            if (/max-age=0\b/i.test(cookie) || value === '') cookies?.delete(name);
            else cookies?.set(name, value);
          }
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode, headers: response.headers, text, to: response.headers.location });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const used = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
};
const memory = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

async function start(folder, { port, management }) {
  const env = {
    PATH: process.env.PATH,
    MASTER_KEY: 'CKJazu8f9vdMNehKHTFxoYmOD6pGVuOWBHEkQ5nevXk',
    BENCH_SECRET: SECRET,
    STANDIN_SECRET: 'standin',
    RUST_LOG: 'warn',
  };
  const began = performance.now();
  const log = path.join(folder, 'log');
  const child = spawn('/bin/sh', ['-c', 'exec "$0" serve --config countersign.toml >log 2>&1', path.resolve(binary)], {
    cwd: folder,
    env,
  });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the broker ended:\n${readFileSync(log, 'utf8')}`);
    const answer = await call(`http://localhost:${port}/.well-known/openid-configuration`).catch(() => undefined);
    if (answer?.status === 200) break;
    await sleep(2);
  }
  const first = performance.now() - began;
  return { child, first, management };
}

const quantile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

/** Repeats a step, one at a time, and says how long it took and how much processor time of the broker. */
async function measure(pid, times, step) {
  for (let at = 0; at < Math.min(50, times); at += 1) await step(at);
  const before = used(pid);
  const took = [];
  for (let at = 0; at < times; at += 1) {
    const began = performance.now();
    await step(at);
    took.push(performance.now() - began);
  }
  const cpu = ((used(pid) - before) / times) * 1e6;
  took.sort((a, b) => a - b);
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), cpu };
}

function authorize(port, more = {}) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'bench',
    redirect_uri: CALLBACK,
    scope: 'openid email',
    state: 's',
    nonce: 'n',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  });
  return { url: `http://localhost:${port}/authorize?${query}`, verifier };
}

const field = (page, name) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1];
const expect = (truth, what, answer) => {
  if (!truth) throw new Error(`${what}: ${answer?.status} ${answer?.to ?? ''} ${answer?.text?.slice(0, 2000)}`);
};

/** A whole sign-in through one provider, as a browser and an app do it: list, choice, provider, code, tokens. */
async function signIn(port, at) {
  const cookies = new Map();
  const origin = `http://localhost:${port}`;
  const { url, verifier } = authorize(port);
  let answer = await call(url, { cookies });
  let away = answer.to;
  if (new URL(away, origin).pathname === '/sign-in') {
    const page = await call(new URL(away, origin), { cookies });
    expect(page.status === 200, 'the list', page);
    const form = { flow: field(page.text, 'flow'), csrf: field(page.text, 'csrf'), provider: idOf(at) };
    answer = await call(`${origin}/sign-in`, { method: 'POST', cookies, form, headers: { origin } });
    away = answer.to;
  }
  expect(away?.includes('/p/'), 'the departure', answer);
  const approved = await call(away);
  answer = await call(approved.to, { cookies });
  expect(answer.to?.includes('/continue'), 'the callback', answer);
  answer = await call(new URL(answer.to, origin), { cookies });
  const code = new URL(answer.to, origin).searchParams.get('code');
  expect(code, 'the code', answer);
  const form = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, code_verifier: verifier };
  const basic = Buffer.from(`bench:${SECRET}`).toString('base64');
  answer = await call(`${origin}/token`, { method: 'POST', form, headers: { authorization: `Basic ${basic}` } });
  expect(answer.status === 200, 'the tokens', answer);
}

/** A sign-in that has begun, and the address of its list. */
async function open(port) {
  const cookies = new Map();
  const answer = await call(authorize(port).url, { cookies });
  const list = new URL(answer.to, `http://localhost:${port}`);
  expect(list.pathname === '/sign-in', 'the way to the list', answer);
  return { cookies, list };
}

async function run(count, { port: standinPort, asked }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-bench-'));
  let broker;
  try {
    const configured = await configure(folder, count, standinPort);
    const { port } = configured;
    asked.count = 0;
    broker = await start(folder, configured);
    const { pid } = broker.child;
    const result = { count, start: broker.first, memory: memory(pid) };

    // What it fetches ahead of need, until it is quiet.
    for (let quiet = 0, before = -1; quiet < 2; before = used(pid)) {
      await sleep(500);
      quiet = used(pid) - before < 0.02 ? quiet + 1 : 0;
    }
    result.warm = { cpu: used(pid), fetches: asked.count, memory: memory(pid) };

    const { cookies, list } = await open(port);
    const look = async (query, wanted) => {
      const url = new URL(list);
      if (query) url.searchParams.set('q', query);
      const answer = await call(url, { cookies: new Map(cookies) });
      expect(answer.status === 200, 'the list', answer);
      return wanted && !answer.text.includes(`value="${wanted}"`) ? undefined : answer.text.length;
    };
    const found = async (query, at) => {
      const bytes = await look(query, idOf(at));
      if (!bytes) throw new Error(`${idOf(at)} is not found by ${query}`);
      return bytes;
    };
    const some = (at) => (at * 7919) % count;
    // plain OAuth providers speak for no domain
    const ofDomain = (at) => (some(at) % 10 === 3 ? some(at) - 1 : some(at));
    let bytes;
    result.list = await measure(pid, PAGES, async () => (bytes = await look('', '')));
    result.list.bytes = bytes;
    result.name = await measure(pid, PAGES, (at) => found(nameOf(some(at)), some(at)));
    result.address = await measure(pid, PAGES, (at) => found(`ada@${idOf(ofDomain(at))}.example`, ofDomain(at)));
    const last = count - 1 - ((count - 1) % 10); // of the kind by which the stand-in signs people in
    // On a busy machine the stand-in may have been too slow for all who were asked ahead of need; then a provider is left
    // alone for a while.
    for (const began = performance.now(); ; await sleep(1000)) {
      const failure = await signIn(port, last).catch((error) => error);
      if (!failure) break;
      if (performance.now() - began > 90_000) throw failure;
    }
    result.signIn = await measure(pid, SIGN_INS, () => signIn(port, last));

    // One provider gets another name; meanwhile people look at the list.
    const rename = async (name, between) => {
      const renamed = configured.providers.replace(`"${nameOf(last)}"`, `"${name}"`);
      writeFileSync(path.join(folder, 'aside'), renamed);
      const began = performance.now();
      renameSync(path.join(folder, 'aside'), path.join(folder, 'providers.toml'));
      while (!(await look(name, idOf(last)))) {
        await between();
        if (performance.now() - began > 120_000) throw new Error(`no reload:\n${readFileSync(path.join(folder, 'log'), 'utf8')}`);
      }
      return performance.now() - began;
    };
    const meanwhile = [];
    const took = await rename(`${nameOf(last)} renamed`, async () => {
      const at = performance.now();
      await look('', '');
      meanwhile.push(performance.now() - at);
    });
    meanwhile.sort((x, y) => x - y);
    // Once more in silence, for the processor time alone.
    await sleep(2000);
    const spent = used(pid);
    await rename(`${nameOf(last)} anew`, () => sleep(100));
    await sleep(2000);
    result.reload = {
      took,
      cpu: used(pid) - spent,
      p50: quantile(meanwhile, 0.5),
      p99: quantile(meanwhile, 0.99),
      most: meanwhile.at(-1),
    };
    result.memoryAfter = memory(pid);
    return result;
  } finally {
    const gone = new Promise((resolve) => (broker ? broker.child.once('exit', resolve) : resolve()));
    broker?.child.kill('SIGTERM');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  }
}

// --- What comes of it -------------------------------------------------------------------------------------------

const ROWS = [
  ['Start to the first answer, ms', (r) => r.start],
  ['Processor time of the start and of fetching ahead, s', (r) => r.warm.cpu],
  ['Fetches ahead of need', (r) => r.warm.fetches],
  ['Memory after the start, MiB', (r) => r.memory],
  ['Memory at the end, MiB', (r) => r.memoryAfter],
  ['List of providers: p50, ms', (r) => r.list.p50],
  ['List of providers: p99, ms', (r) => r.list.p99],
  ['List of providers: processor time, µs', (r) => r.list.cpu],
  ['List of providers: bytes', (r) => r.list.bytes],
  ['Search by name: p50, ms', (r) => r.name.p50],
  ['Search by name: p99, ms', (r) => r.name.p99],
  ['Search by name: processor time, µs', (r) => r.name.cpu],
  ['Search by work address: p50, ms', (r) => r.address.p50],
  ['Search by work address: p99, ms', (r) => r.address.p99],
  ['Search by work address: processor time, µs', (r) => r.address.cpu],
  ['A whole sign-in: p50, ms', (r) => r.signIn.p50],
  ['A whole sign-in: p99, ms', (r) => r.signIn.p99],
  ['A whole sign-in: processor time, µs', (r) => r.signIn.cpu],
  ['Reload after a change of one: until served, ms', (r) => r.reload.took],
  ['Reload: processor time, s', (r) => r.reload.cpu],
  ['List during the reload: p50, ms', (r) => r.reload.p50],
  ['List during the reload: p99, ms', (r) => r.reload.p99],
  ['List during the reload: longest, ms', (r) => r.reload.most],
];

const shown = (value) => (value >= 100 ? Math.round(value) : Number(value.toPrecision(3))).toLocaleString('en');
const standinNow = await standin();
const results = [];
for (const count of counts) {
  console.error(`${count} providers …`);
  results.push(await run(count, standinNow));
}
standinNow.server.close();
agent.destroy();
if (file) writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
const ratio = (row) => (results.length > 1 ? ` ${shown(row(results.at(-1)) / row(results[0]))} |` : '');
console.log(`| what | ${counts.map((count) => count.toLocaleString('en')).join(' | ')} |${results.length > 1 ? ' last to first |' : ''}`);
console.log(`|---|${'---|'.repeat(counts.length + (results.length > 1 ? 1 : 0))}`);
for (const [name, row] of ROWS) console.log(`| ${name} | ${results.map((r) => shown(row(r))).join(' | ')} |${ratio(row)}`);
