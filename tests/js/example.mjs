// Runs one example of the documents. stdin: JSON, {url, key, token, code, variables}. The code sees `supabase`, a client
// of the logged-in user, and the variables; stdout is JSON: what it printed, and its `data` and `error`, if it has them.
import { text } from 'node:stream/consumers'
import { format } from 'node:util'
import { createClient } from '@supabase/supabase-js'

const { url, key, token, code, variables } = JSON.parse(await text(process.stdin))
const supabase = createClient(url, key, { accessToken: async () => token })

const printed = []
console.log = (...values) => printed.push(format(...values))

const outcome = ['data', 'error'].map((name) => `typeof ${name} === 'undefined' ? null : ${name}`)
const AsyncFunction = (async () => {}).constructor
const example = new AsyncFunction('supabase', ...Object.keys(variables), `${code}\nreturn [${outcome}]`)
const [data, error] = await example(supabase, ...Object.values(variables))
process.stdout.write(JSON.stringify({ printed: printed.join('\n'), data, error }))
