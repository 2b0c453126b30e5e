// The official TypeScript SDK's client, as anybody uses it: node client.mjs PACKAGES TRANSPORT URL KEY ROUNDS [TOOL].
// It prints one JSON object; a refusal is printed with its status, and so is whatever an OAuth flow would have asked for.
import { pathToFileURL } from 'node:url';

const [packages, transport, url, key, rounds, tool = 'trigger-long-running-operation'] = process.argv.slice(2);
const sdk = (name) => import(pathToFileURL(`${packages}/node_modules/@modelcontextprotocol/sdk/dist/esm/client/${name}`).href);
const { Client } = await sdk('index.js');
const { StreamableHTTPClientTransport } = await sdk('streamableHttp.js');
const { SSEClientTransport } = await sdk('sse.js');

const flow = [];
const authProvider = {
  redirectUrl: 'http://127.0.0.1:1/callback',
  clientMetadata: { redirect_uris: ['http://127.0.0.1:1/callback'], client_name: 'test' },
  clientInformation: () => undefined,
  saveClientInformation: () => flow.push('register'),
  tokens: () => undefined,
  saveTokens: () => flow.push('tokens'),
  redirectToAuthorization: () => flow.push('authorize'),
  saveCodeVerifier: () => flow.push('verifier'),
  codeVerifier: () => 'x',
};
// With a key in the header, as a client with pasted settings has it; or, where the key is in the address, with a provider.
const options = key ? { requestInit: { headers: { Authorization: `Bearer ${key}` } } } : { authProvider };
if (transport === 'sse' && key) {
  options.eventSourceInit = { fetch: (u, init) => fetch(u, { ...init, headers: { ...init.headers, Authorization: `Bearer ${key}` } }) };
}
const Transport = transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
const client = new Client({ name: 'test', version: '1' });
const connection = new Transport(new URL(url), options);
const found = { tools: 0, progress: [], texts: [], flow, error: null };
try {
  await client.connect(connection);
  found.tools = (await client.listTools()).tools.length;
  for (let round = 0; round < Number(rounds); round++) {
    const began = Date.now();
    const onprogress = () => found.progress.push((Date.now() - began) / 1000);
    const call = { name: tool, arguments: { duration: 0.8, steps: 4 } };
    const result = await client.callTool(call, undefined, { onprogress });
    found.texts.push(result.content[0].text);
  }
  if (connection.terminateSession) await connection.terminateSession();
  await client.close();
} catch (error) {
  found.error = { code: error.code ?? null, name: error.constructor.name, text: String(error.message) };
}
console.log(JSON.stringify(found));
process.exit(0);
