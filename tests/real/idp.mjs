// An OAuth authorization server that nobody here wrote: npm's oidc-provider, set up as a careful provider would.
//
// Public native clients with PKCE S256 and rotating refresh tokens. The addresses that it announces are those of the
// issuer it is told (a relay may stand before it). Settings come in the environment; one line of JSON on stdout names
// the two ports: the server's, and that of a control server for the tests. It ends when its stdin is closed, so it
// never outlives the test run. Nothing secret is printed.

import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const { IDP_PACKAGES, IDP_ISSUER, IDP_ACCESS_TTL = '30', IDP_DEMANDS = '' } = process.env;
const demands = IDP_DEMANDS.split(',');
// Client ID Metadata Documents are fetched from the web; here from the environment, and from nowhere else.
const { IDP_DOCUMENT = '' } = process.env;
const hosted = (url) => (IDP_DOCUMENT && JSON.parse(IDP_DOCUMENT).client_id === String(url)
  ? new Response(IDP_DOCUMENT, { headers: { 'content-type': 'application/json' } })
  : new Response('', { status: 404 }));
const entry = path.join(IDP_PACKAGES, 'node_modules', 'oidc-provider', 'lib', 'index.js');
const { Provider } = await import(pathToFileURL(entry));

const settings = { accessTtl: Number(IDP_ACCESS_TTL) };
const counts = { requests: {}, granted: {}, refused: {}, revocations: 0, registrations: 0, unregistrations: 0 };
const grants = new Set();
const registered = new Set();
const bump = (table, key) => { table[key] = (table[key] ?? 0) + 1; };

const client = (id) => ({
  client_id: id,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  redirect_uris: ['http://127.0.0.1/callback'], // any port of it (RFC 8252 section 7.3)
});

// A confidential client that proves itself by a key of its own (RFC 7523).
const keyed = { ...client('keyed'), token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [] } };
if (process.env.IDP_CLIENT_KEY) keyed.jwks.keys.push(JSON.parse(process.env.IDP_CLIENT_KEY));

const provider = new Provider(IDP_ISSUER, {
  clients: [...['amberlight', 'exact'].map(client), ...(keyed.jwks.keys.length ? [keyed] : [])],
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true },
    registrationManagement: { enabled: true },
    deviceFlow: { enabled: true },
    // Every proof must hold a nonce of the server's; without that demand, nobody is asked for one.
    dPoP: {
      enabled: true,
      nonceSecret: demands.includes('nonces') ? Buffer.alloc(32, 7) : undefined,
      requireNonce: () => demands.includes('nonces'),
    },
    clientIdMetadataDocument: { enabled: IDP_DOCUMENT !== '', ack: 'draft-02' },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: demands.includes('pushed') },
    // RFC 8707: any resource of this machine, with access tokens that it can check by itself.
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'mcp',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: settings.accessTtl,
        jwt: { sign: { alg: 'RS256' } },
      }),
      useGrantedResource: () => true,
    },
  },
  fetch: async (url) => hosted(url),
  scopes: ['openid', 'offline_access', 'mcp'],
  cookies: { keys: ['of a test server only'] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  // A refresh token for every client that may refresh, whether it asked for offline_access or not; it outlives the
  // browser's session.
  issueRefreshToken: async (ctx, asking) => asking.grantTypeAllowed('refresh_token'),
  expiresWithSession: async () => false,
  ttl: {
    AccessToken: () => settings.accessTtl,
    AuthorizationCode: 60,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 86400,
    DeviceCode: 600,
  },
});

// Some providers compare a callback as a prefix; the client "exact", and those that register, meet one that does not.
const exact = provider.Client.prototype.redirectUriAllowed;
provider.Client.prototype.redirectUriAllowed = function redirectUriAllowed(value) {
  const prefix = /^(http:\/\/127\.0\.0\.1:\d+\/callback)\/[\w-]+$/;
  return exact.call(this, ['amberlight', 'keyed'].includes(this.clientId) ? value.replace(prefix, '$1') : value);
};

provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route === 'token') bump(counts.requests, ctx.oidc.params?.grant_type ?? 'none');
  if (ctx.oidc?.route === 'revocation' && ctx.status === 200) counts.revocations += 1;
});
provider.on('grant.success', (ctx) => bump(counts.granted, ctx.oidc.params.grant_type));
provider.on('grant.error', (ctx, error) => bump(counts.refused, error.error ?? 'error'));
provider.on('server_error', (ctx, error) => console.error('server_error', error.stack));
provider.on('registration_create.success', (ctx, made) => {
  registered.add(made.clientId);
  counts.registrations += 1;
});
provider.on('registration_delete.success', () => { counts.unregistrations += 1; });
provider.on('grant.saved', (grant) => grants.add(grant.jti));

async function revokeAll() {
  let ended = 0;
  for (const id of grants) {
    await Promise.all([provider.AccessToken, provider.RefreshToken, provider.AuthorizationCode]
      .map((model) => model.revokeByGrantId(id)));
    const grant = await provider.Grant.find(id);
    if (grant) {
      await grant.destroy();
      ended += 1;
    }
  }
  grants.clear();
  return { ended };
}

// What an administrator or a server's clean-up does to clients that registered themselves.
async function forgetClients() {
  await Promise.all([...registered].map((id) => provider.Client.adapter.destroy(id)));
  const ended = registered.size;
  registered.clear();
  return { ended };
}

const orders = {
  'POST /forget-clients': forgetClients,
  'GET /counts': () => counts,
  'POST /revoke-all': revokeAll,
  'POST /access-ttl': (query) => {
    settings.accessTtl = Number(query.get('seconds'));
    return settings;
  },
};

const control = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://127.0.0.1');
  const order = orders[`${request.method} ${pathname}`];
  request.resume();
  try {
    const answer = order ? await order(searchParams) : { error: 'no such order' };
    response.writeHead(order ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(500).end(JSON.stringify({ error: String(error) }));
  }
});

const listen = (server) => new Promise((done, failed) => {
  server.once('error', failed).listen(0, '127.0.0.1', () => done(server.address().port));
});
const port = await listen(createServer(provider.callback()));
console.log(JSON.stringify({ port, control: await listen(control) }));
process.stdin.resume().on('end', () => process.exit(0)).on('error', () => process.exit(0));
