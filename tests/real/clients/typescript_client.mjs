// The official TypeScript SDK's client, first or second generation: typescript_client.mjs PACKAGES v1|v2|v2auto URL HEADERS.
// COMMAND, as a JSON array, and its environment in their place: over stdin and stdout.
// It reads and prints what python_client.py does.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [packages, generation, url, headers] = process.argv.slice(2);
const find = createRequire(`${packages}/package.json`);
const load = (name) => import(pathToFileURL(find.resolve(name)).href);
const say = (words) => console.log(JSON.stringify(words));
let Client, Transport;
if (generation === 'v1') {
  ({ Client } = await load('@modelcontextprotocol/sdk/client/index.js'));
  ({ StreamableHTTPClientTransport: Transport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js'));
} else {
  ({ Client, StreamableHTTPClientTransport: Transport } = await load('@modelcontextprotocol/client'));
}
const stdio = url.startsWith('[');
if (stdio && generation === 'v1') {
  ({ StdioClientTransport: Transport } = await load('@modelcontextprotocol/sdk/client/stdio.js'));
} else if (stdio) {
  ({ StdioClientTransport: Transport } = await load('@modelcontextprotocol/client/stdio'));
}
const open = () => {
  if (!stdio) return new Transport(new URL(url), { requestInit: { headers: JSON.parse(headers) } });
  const [command, ...args] = JSON.parse(url);
  return new Transport({ command, args, env: JSON.parse(headers) });
};
const options = generation === 'v2auto' ? { versionNegotiation: { mode: 'auto' } } : {};
const client = new Client({ name: 'test', version: '1' }, options);
client.onerror = () => {}; // streams that break are part of every test
try {
  await client.connect(open());
} catch (error) {
  say({ failed: String(error) });
  process.exit(1);
}
say({ connected: true });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'quit' || line === '') break;
  try {
    if (line === 'tools') {
      say({ tools: (await client.listTools()).tools.map((tool) => tool.name) });
    } else {
      const result = await client.callTool({ name: 'echo', arguments: { text: line.slice(5) } });
      say({ text: result.content.map((block) => block.text).join('\n'), error: !!result.isError });
    }
  } catch (error) {
    say({ failed: String(error) });
  }
}
await client.close();
process.exit(0);
