// Runs calls with the real supabase-js. A line of stdin is one request, JSON: {url, key, token, calls}; the answer is one
// line of stdout. A call is a list of steps, each the name of a method and its arguments:
//     [["from", "sessions"], ["select", "id"], ["eq", "status", "scheduled"]]
// All calls of a line run at once. `token` is the user's, or null when nobody is logged in.
import { createInterface } from 'node:readline'
import { createClient } from '@supabase/supabase-js'

const clients = new Map()

function clientOf(url, key, token) {
  const name = JSON.stringify([url, key, token])
  if (!clients.has(name)) {
    clients.set(name, createClient(url, key, token ? { accessToken: async () => token } : {}))
  }
  return clients.get(name)
}

async function answer(client, steps) {
  let builder = client
  for (const [method, ...values] of steps) builder = builder[method](...values)
  const { data, error, status, statusText } = await builder
  return { data, error, status, statusText }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { url, key, token, calls } = JSON.parse(line)
  const client = clientOf(url, key, token)
  console.log(JSON.stringify(await Promise.all(calls.map((steps) => answer(client, steps)))))
}
