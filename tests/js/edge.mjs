// Runs an Edge Function on Node.js: `node edge.mjs FILE.ts`. It prints the URL at which the function answers, and goes on
// until its standard input ends. Packages are those of this folder, whatever version the file names.
import { createServer } from 'node:http'
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

registerHooks({
  resolve: (specifier, context, next) =>
    specifier.startsWith('npm:')
      ? next(specifier.replace(/^npm:(@?[^@]+)@.*$/, '$1'), { ...context, parentURL: import.meta.url })
      : next(specifier, context),
})

globalThis.Deno = {
  env: { get: (name) => process.env[name] },
  serve: (handler) => {
    const server = createServer(async (incoming, outgoing) => {
      const url = `http://${incoming.headers.host}${incoming.url}`
      const request = new Request(url, { method: incoming.method, headers: incoming.headers })
      const answer = await Promise.resolve(handler(request)).catch((error) => new Response(`${error}`, { status: 500 }))
      outgoing.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text())
    })
    server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
  },
}

process.stdin.on('end', () => process.exit()).resume()
await import(pathToFileURL(process.argv[2]))
