// Two servers that are asked the same, and what of their answers has to be the same.

import { createHmac } from 'node:crypto'

export const SECRET = 'super-secret-jwt-token-with-at-least-32-characters-long'

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token as the owner of the secret may make it. */
export function sign(payload, { secret = SECRET, header = { alg: 'HS256', typ: 'JWT' } } = {}) {
  const signed = `${encode(header)}.${encode(payload)}`
  if (header.alg === 'none') return `${signed}.`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const now = Math.floor(Date.now() / 1000)
export const admin = sign({ role: 'service_role', iss: 'supabase', iat: now, exp: now + 36000 })

/** One server under comparison, and what the cases remember of its answers. */
export class Side {
  constructor(name, base, apikey) {
    Object.assign(this, { name, base, apikey, admin, vars: {} })
  }

  async ask({ method = 'GET', path, body, raw, headers = {}, bearer, form }) {
    const all = { ...(this.apikey && { apikey: this.apikey }), ...headers }
    if (bearer) all.authorization ??= `Bearer ${bearer}`
    let sent = raw
    if (body !== undefined) sent = JSON.stringify(body)
    if (form) sent = new URLSearchParams(form).toString()
    if (sent !== undefined) all['content-type'] ??= form ? 'application/x-www-form-urlencoded' : 'application/json'
    const answer = await fetch(this.base + path, {
      method,
      headers: all,
      body: sent,
      redirect: 'manual',
      signal: AbortSignal.timeout(30_000),
    })
    const text = await answer.text()
    let json = text
    try {
      json = text === '' ? '' : JSON.parse(text)
    } catch {
      // Not JSON: compared as text.
    }
    return { status: answer.status, headers: answer.headers, body: json }
  }
}

const HEADERS = [
  'content-type',
  'cache-control',
  'location',
  'x-sb-error-code',
  'x-supabase-api-version',
  'x-total-count',
  'link',
  'sb-auth-user-id',
  'sb-auth-session-id',
  'sb-auth-refresh-token-prefix',
  'sb-auth-refresh-token-reuse',
  'sb-auth-refresh-token-reuse-cause',
  'sb-auth-refresh-token-rotated',
  'www-authenticate',
]

/** What of an answer has to be equal on both sides: random and timely parts become names of their kind. */
export function essence(answer, side) {
  const headers = {}
  for (const name of HEADERS) {
    const value = answer.headers.get?.(name) ?? null
    if (value !== null) headers[name] = name.endsWith('-prefix') ? `<${value.length} characters>` : plain(value, side)
  }
  if (headers['content-type']) headers['content-type'] = headers['content-type'].split(';')[0]
  // A list of factors alone has no name that says so.
  const key = Array.isArray(answer.body) && answer.body[0]?.factor_type ? 'factors' : ''
  return { status: answer.status, headers, body: generic(answer.body, side, key) }
}

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g
const TOKEN = /\beyJ[\w-]*\.[\w-]+\.[\w-]*/g
const RANDOM_KEYS = new Set([
  'refresh_token', 'hashed_token', 'email_otp', 'secret', 'uri', 'qr_code', 'code', 'client_secret',
  'authorization_code', 'action_link', 'provider_token', 'version', 'phone_otp', 'authorization_id',
])
const UNORDERED = new Set(['factors', 'identities', 'amr'])
const NIL = '00000000-0000-0000-0000-000000000000'

function plain(text, side) {
  return text
    .replaceAll(side.base, '<base>')
    .replaceAll(encodeURIComponent(side.base), '<base>')
    .replace(TOKEN, (token) => `<jwt ${JSON.stringify(claims(token, side))}>`)
    .replace(UUID, (uuid) => (uuid === NIL ? uuid : '<uuid>'))
    .replace(TIME, '<time>')
    // What a soft deletion leaves of an address.
    .replace(/^(?=.*[A-Z])(?:[\w-]{43}|[\w-]{15})$/, '<hash>')
    .replace(/\b(access_token|refresh_token|token|code|state|expires_at|authorization_id)=[\w.%~-]+/g, '$1=<…>')
    .replace(/after \d+ seconds/g, 'after <n> seconds')
    // What follows is the parser's own wording.
    .replace(/(Could not parse request body as JSON: ).*/s, '$1<why>')
}

function claims(token, side) {
  try {
    const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()))
    // Each side signs with a key of its own.
    return { header: Object.keys(header).filter((name) => name !== 'kid').sort(), payload: generic(payload, side, 'payload') }
  } catch {
    return 'unreadable'
  }
}

function generic(value, side, key) {
  if (Array.isArray(value)) {
    const items = value.map((item) => generic(item, side, key))
    // The database's order, or that of equal timestamps.
    return UNORDERED.has(key) ? items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items
  }
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.keys(value).sort().map((name) => [name, generic(value[name], side, name)]))
  }
  if (typeof value === 'number') return value > 1_000_000_000 ? '<epoch>' : value
  if (typeof value !== 'string') return value
  if (key === 'refresh_token' && value.length > 0) return '<random>'
  if (RANDOM_KEYS.has(key) && value.length > 0 && !/^\d{3}$/.test(value) && !/^[a-z_]+$/.test(value)) {
    return key === 'action_link' ? `<${new URL(value).searchParams.get('type')} link to ${new URL(value).pathname.split('/').pop()}>` : '<random>'
  }
  return plain(value, side)
}
