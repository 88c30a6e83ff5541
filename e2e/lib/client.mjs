// Clients as an app has them, and tokens as an attacker makes them.

import { createHmac, randomUUID } from 'node:crypto'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'

/** The published client, unmodified. Node 20 has no WebSocket of its own, hence the transport. */
export function client(app, key = app.anonKey) {
  return createClient(app.url, key, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: WebSocket },
  })
}

export function email(name = 'user') {
  return `${name}.${randomUUID().slice(0, 8)}@example.com`
}

export const PASSWORD = 'correct-horse-battery'

/** A new user, signed up and signed in. */
export async function member(app, name = 'user', address = email(name)) {
  const supabase = client(app)
  const { data, error } = await supabase.auth.signUp({ email: address, password: PASSWORD })
  if (error) throw error
  if (!data.session) throw new Error('sign-up gave no session: confirmations should be off here')
  return { supabase, user: data.user, session: data.session, email: address }
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A JWT of any header and payload; `alg: none` carries no signature. */
export function token(payload, secret, header = { alg: 'HS256', typ: 'JWT' }) {
  const signed = `${encode(header)}.${encode(payload)}`
  if (header.alg === 'none') return `${signed}.`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

export function claims(jwt) {
  return JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString())
}

/** A bare request to the data API, for what the client would not send. */
export async function rest(app, path, { bearer, key = app.anonKey, ...init } = {}) {
  const headers = { apikey: key, 'content-type': 'application/json', ...init.headers }
  if (bearer) headers.authorization = `Bearer ${bearer}`
  const response = await fetch(`${app.url}/rest/v1/${path}`, { ...init, headers })
  const text = await response.text()
  let body = null
  try {
    body = text ? JSON.parse(text) : null
  } catch {
    body = text
  }
  return { status: response.status, headers: response.headers, body }
}
