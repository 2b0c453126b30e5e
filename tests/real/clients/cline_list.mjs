// What Cline's own library makes of its settings: cline_list.mjs PACKAGES. Its command line has no list of servers.
import { pathToFileURL } from 'node:url'

const cline = await import(pathToFileURL(`${process.argv[2]}/@cline/core/dist/index.js`))
const servers = new cline.InMemoryMcpManager({ clientFactory: cline.createDefaultMcpServerClientFactory() })
for (const each of await cline.registerMcpServersFromSettingsFile(servers)) {
  try {
    const tools = await servers.listTools(each.name)
    console.log(`${each.name}: connected, ${tools.map((tool) => tool.name).join(' ')}`)
  } catch (error) {
    console.log(`${each.name}: ${error}`)
  }
}
process.exit(0)
