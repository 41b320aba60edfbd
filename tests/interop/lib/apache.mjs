// Apache with mod_auth_openidc as Debian ships them, in front of an application that answers the headers it got.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = '/usr/sbin/apache2';
const MODULES = '/usr/lib/apache2/modules';
const LOADED = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'proxy', 'proxy_http', 'auth_openidc'];

/** An application behind Apache: what it knows of the person is what Apache tells it in headers. */
async function startApplication() {
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ path: request.url, headers: request.headers }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: server.address().port, stop: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}

/** What every Apache here has. */
const frame = ({ folder, port, application }) => `
ServerRoot "${folder}"
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
PidFile "${folder}/apache.pid"
DefaultRuntimeDir "${folder}"
Mutex pthread default
ErrorLog "${folder}/error.log"
LogLevel warn auth_openidc:debug
${LOADED.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
User www-data
Group www-data
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
ProxyPass / http://127.0.0.1:${application}/
`;

/** Last, since later sections go before earlier ones. */
const OPEN = `
<Location /open>
  Require all granted
</Location>
`;

/** What the tests of the module have besides. */
const usual = ({ port }) => `
OIDCRedirectURI http://127.0.0.1:${port}/oidc/callback
OIDCCryptoPassphrase "only for this one test run"
OIDCPKCEMethod S256
OIDCScope "openid profile email groups roles permissions offline_access"
OIDCClaimPrefix claim-
OIDCClaimDelimiter ","
OIDCPassClaimsAs headers
OIDCPassRefreshToken Off
OIDCRemoteUserClaim email
OIDCHTTPTimeoutShort 5
OIDCHTTPTimeoutLong 10

<Location />
  AuthType openid-connect
  Require valid-user
  RequestHeader set x-remote-user "expr=%{REMOTE_USER}"
  AuthzSendForbiddenOnFailure On
</Location>
<Location /writers>
  Require claim permissions:notes:write
</Location>
`;

/** Starts Apache on a port; `lines` say who the provider is and who the client, or, if `own`, all that matters. */
export async function startApache({ port, lines, own = false }) {
  const application = await startApplication();
  const folder = await mkdtemp(join(tmpdir(), 'countersign-apache-'));
  const file = join(folder, 'apache.conf');
  await writeFile(file, [frame({ folder, port, application: application.port }), own ? '' : usual({ port }), lines, OPEN].join('\n'));
  const child = spawn(PROGRAM, ['-f', file, '-DFOREGROUND'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  child.stdout.on('data', (chunk) => said.push(String(chunk)));
  child.stderr.on('data', (chunk) => said.push(String(chunk)));
  let exited;
  const gone = new Promise((resolve) => child.once('exit', (code, signal) => { exited = code ?? signal; resolve(); }));
  child.once('error', (error) => { exited = error.message; });
  const log = async () => said.join('') + await readFile(join(folder, 'error.log'), 'utf8').catch(() => '');
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries += 1) {
    if (exited !== undefined || tries > 200) {
      child.kill('SIGKILL');
      await application.stop();
      throw new Error(`Apache did not start (${exited ?? 'no answer'}):\n${await log()}`);
    }
    const answer = await fetch(`${url}/open/`).catch(() => undefined);
    if (answer?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url, log,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(timer);
      await application.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
