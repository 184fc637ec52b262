// A whole worker as a Supabase Edge Function: it relays events, claims deliveries, sends signed webhooks and finishes
// them. Copy it to supabase/functions/deliver-events/index.ts; schedule.sql has it called every minute.
import { createClient } from 'npm:@supabase/supabase-js@2'

type Claimed = {
  id: string
  token: string
  destination: string
  settings: { url?: string; url_env?: string; signing_env?: string; timeout_seconds?: number }
  secrets: { signing?: string[] }
  type: string
  body: Record<string, unknown>
}

type Outcome = { outcome: 'delivered' | 'retry' | 'gone'; status?: number; detail?: string; retryAfter?: string }

// A call of the function claims no more after so long; the schedule calls it again.
const SECONDS_TO_CLAIM = 45
const AT_ONCE = 10
const LONGEST_TIMEOUT = 30

const supabase = createClient(required('SUPABASE_URL'), required('SUPABASE_SERVICE_ROLE_KEY'), {
  auth: { persistSession: false, autoRefreshToken: false },
})

Deno.serve(async (request) => {
  // Only the schedule may start it.
  if (request.headers.get('authorization') !== `Bearer ${required('WORKER_SECRET')}`) {
    return new Response('not allowed', { status: 401 })
  }
  return Response.json({ finished: await work() })
})

async function work(): Promise<number> {
  const end = Date.now() + SECONDS_TO_CLAIM * 1000
  let finished = 0
  while (Date.now() < end) {
    // More than this call handled waits for the next round.
    await call<number>('relay_events', { p_limit: 1000 })
    const claimed = await call<Claimed[]>('claim_deliveries', {
      p_limit: AT_ONCE, p_lease: '1 minute', p_kinds: ['webhook'],
    })
    if (claimed.length === 0) break
    await Promise.all(claimed.map(deliver))
    finished += claimed.length
  }
  return finished
}

async function deliver(delivery: Claimed): Promise<void> {
  const { outcome, status, detail, retryAfter } = await send(delivery)
  // False: the lease was over, and somebody else has it now.
  const isOurs = await call<boolean>('finish_delivery', {
    p_delivery_id: delivery.id, p_token: delivery.token, p_outcome: outcome,
    p_status_code: status ?? null, p_detail: detail ?? null, p_retry_after: retryAfter ?? null,
  })
  // One line a delivery, without settings and secrets.
  console.log(JSON.stringify({ delivery: delivery.id, destination: delivery.destination, type: delivery.type,
    outcome: isOurs ? outcome : 'lease was over', status }))
}

async function send(delivery: Claimed): Promise<Outcome> {
  const { settings, secrets } = delivery
  try {
    const url = settings.url_env ? required(settings.url_env) : settings.url ?? ''
    const signing = settings.signing_env ? required(settings.signing_env).split(' ') : secrets.signing ?? []
    const body = JSON.stringify(delivery.body)
    const timeout = Math.min(settings.timeout_seconds ?? 20, LONGEST_TIMEOUT)
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(await signatures(delivery.id, body, signing)) },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout * 1000),
    })
    await answer.body?.cancel()
    if (answer.ok) return { outcome: 'delivered', status: answer.status }
    if (answer.status === 410) return { outcome: 'gone', status: answer.status }
    return { outcome: 'retry', status: answer.status, retryAfter: pause(answer.headers.get('retry-after')) }
  } catch (error) {
    // Nobody answered in time, or a secret is missing: its events wait until that is put right.
    return { outcome: 'retry', detail: error instanceof Error ? error.message : 'failed' }
  }
}

/** The three headers of Standard Webhooks, with one signature for each secret. */
async function signatures(id: string, body: string, secrets: string[]): Promise<Record<string, string>> {
  const timestamp = Math.floor(Date.now() / 1000).toString()
  const content = new TextEncoder().encode(`${id}.${timestamp}.${body}`)
  const signed = await Promise.all(secrets.map(async (secret) => {
    const bytes = Uint8Array.from(atob(secret.replace(/^whsec_/, '')), (letter) => letter.charCodeAt(0))
    const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    const signature = new Uint8Array(await crypto.subtle.sign('HMAC', key, content))
    return `v1,${btoa(String.fromCharCode(...signature))}`
  }))
  if (signed.length === 0) throw new Error('the destination has no signing secret')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signed.join(' ') }
}

/** Retry-After as an interval, at most a day: it has seconds, or a date. */
function pause(header: string | null): string | undefined {
  if (header === null) return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isNaN(seconds) ? undefined : `${Math.round(Math.min(Math.max(seconds, 0), 86_400))} seconds`
}

async function call<Result>(name: string, parameters: Record<string, unknown>): Promise<Result> {
  const { data, error } = await supabase.rpc(name, parameters)
  if (error) throw new Error(`${name}: ${error.message}`)
  return data as Result
}

function required(name: string): string {
  const value = Deno.env.get(name)
  if (!value) throw new Error(`the environment has no ${name}`)
  return value
}
