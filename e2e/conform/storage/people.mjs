// Who asks, and what the cases share.

import { sign } from './sides.mjs'

/** Ends the name of every bucket of one run: both servers may have been used before. */
export const RUN = Date.now().toString(36)

const now = Math.floor(Date.now() / 1000)
const life = { iat: now, exp: now + 36_000 }
export const ALICE = 'a11ce000-0000-4000-8000-00000000000a'
export const BOB = 'b0b00000-0000-4000-8000-00000000000b'

export const service = sign({ role: 'service_role', ...life })
export const anon = sign({ role: 'anon', ...life })
export const alice = sign({ role: 'authenticated', sub: ALICE, aud: 'authenticated', ...life })
export const bob = sign({ role: 'authenticated', sub: BOB, aud: 'authenticated', ...life })
export const keeper = sign({ role: 'authenticated', sub: BOB, keeper: 'true', ...life })

/** Bearers that must not get in, and some odd ones that may. */
export const bearers = {
  'no token': 'nonsense',
  'an empty token': ' ',
  'a wrong signature': sign({ role: 'service_role', ...life }, { secret: 'another secret that is long enough, really' }),
  'an expired token': sign({ role: 'service_role', iat: now - 100, exp: now - 50 }),
  'a token of the future': sign({ role: 'service_role', nbf: now + 1000, exp: now + 2000 }),
  'algorithm none': sign({ role: 'service_role', ...life }, { header: { alg: 'none', typ: 'JWT' } }),
  'a token without expiry': sign({ role: 'anon' }),
  'a token without role': sign({ sub: ALICE, ...life }),
  'an unknown role': sign({ role: 'nobody_at_all', ...life }),
  'a subject that is no UUID': sign({ role: 'authenticated', sub: 'alice', ...life }),
}

/** The name of a bucket of this run. */
export const bucket = (kind) => `${kind}-${RUN}`

/** Makes a bucket on both sides, as the service. */
export const make = (both, kind, settings = {}) =>
  both(`make bucket ${kind}`, { method: 'POST', path: '/bucket', bearer: service, json: { name: bucket(kind), ...settings } })

/** Puts an object on both sides, as the service; the bytes are the same. */
export const put = (both, kind, key, body = `content of ${key}`, headers = {}) =>
  both(`put ${kind}/${key}`, {
    method: 'POST',
    path: `/object/${bucket(kind)}/${key}`,
    bearer: service,
    headers: { 'content-type': 'text/plain', 'cache-control': 'max-age=60', ...headers },
    body,
  })

/** A multipart form as bytes, with its content type. */
export function form(parts, boundary = 'rowhouse-boundary') {
  const pieces = parts.flatMap(({ name, file, type, value }) => {
    const disposition = `Content-Disposition: form-data; name="${name}"${file === undefined ? '' : `; filename="${file}"`}\r\n`
    return [`--${boundary}\r\n${disposition}${type ? `Content-Type: ${type}\r\n` : ''}\r\n`, value, '\r\n']
  })
  const body = Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece)))
  return { body, headers: { 'content-type': `multipart/form-data; boundary=${boundary}` } }
}

export const base64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64')
