// Signs requests as an S3 client does (AWS signature version 4): in headers, in the query, chunk by chunk, forms.

import { createHash, createHmac } from 'node:crypto'

/** The key pair of the local stack, which both sides have. */
export const KEYS = {
  id: '625729a08b95bf1b7ff351a663f3a23c',
  secret: '850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907',
}

const hmac = (key, text) => createHmac('sha256', key).update(text).digest()
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
const uri = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
const stamp = (date) => date.toISOString().replace(/[-:]|\.\d+/g, '')
const signingKey = (secret, day, region, service) => hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), service), 'aws4_request')

function canonicalQuery(query) {
  const pairs = [...new URLSearchParams(query)].map(([name, value]) => `${uri(name)}=${uri(value)}`)
  return pairs.sort().join('&')
}

function signature({ method, path, query, headers, hash, date, region, service, keys }) {
  const names = Object.keys(headers).map((name) => name.toLowerCase()).sort()
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value).trim()]))
  const canonical = [method, path, query, ...names.map((name) => `${name}:${lower[name]}`), '', names.join(';'), hash].join('\n')
  const day = stamp(date).slice(0, 8)
  const scope = `${day}/${region}/${service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', stamp(date), scope, sha256(canonical)].join('\n')
  const key = signingKey(keys.secret, day, region, service)
  return { names: names.join(';'), scope, key, value: hmac(key, text).toString('hex') }
}

/**
 * A request signed in its headers. `path` is as sent (escaped), after the storage base.
 * Options: query, headers, body, hash (the value of x-amz-content-sha256), keys, token, date, region, service.
 */
export function signed(side, method, path, options = {}) {
  const { query = '', headers = {}, body, keys = side.keys ?? KEYS, token, date = new Date(), region = 'us-east-1', service = 's3', more = {} } = options
  const full = `${side.prefix}/s3${path}`
  const hash = options.hash ?? sha256(body ?? '')
  const all = { ...headers, host: side.host, 'x-amz-date': stamp(date), 'x-amz-content-sha256': hash, ...(token && { 'x-amz-security-token': token }) }
  const made = signature({ method, path: full, query: canonicalQuery(query), headers: all, hash, date, region, service, keys })
  all.authorization = `AWS4-HMAC-SHA256 Credential=${keys.id}/${made.scope}, SignedHeaders=${made.names}, Signature=${made.value}`
  return { method, url: query ? `${full}?${query}` : full, headers: { ...all, ...more }, body, made, date }
}

/** A presigned address. */
export function presigned(side, method, path, { query = '', expires = 60, keys = side.keys ?? KEYS, token, date = new Date(), region = 'us-east-1' } = {}) {
  const full = `${side.prefix}/s3${path}`
  const day = stamp(date).slice(0, 8)
  const all = new URLSearchParams(query)
  all.set('X-Amz-Algorithm', 'AWS4-HMAC-SHA256')
  all.set('X-Amz-Credential', `${keys.id}/${day}/${region}/s3/aws4_request`)
  all.set('X-Amz-Date', stamp(date))
  if (expires !== undefined) all.set('X-Amz-Expires', expires)
  if (token) all.set('X-Amz-Security-Token', token)
  all.set('X-Amz-SignedHeaders', 'host')
  const canonical = canonicalQuery(all.toString())
  const made = signature({ method, path: full, query: canonical, headers: { host: side.host }, hash: 'UNSIGNED-PAYLOAD', date, region, service: 's3', keys })
  return `${full}?${canonical}&X-Amz-Signature=${made.value}`
}

/** A body in signed chunks; `spoil` changes the signature of the chunk with that number. */
export function chunked(side, method, path, chunks, { spoil, ...options } = {}) {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const headers = { ...options.headers, 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': length }
  const request = signed(side, method, path, { ...options, headers, hash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' })
  let before = request.made.value
  const pieces = [...chunks, ''].map((chunk, at) => {
    const text = ['AWS4-HMAC-SHA256-PAYLOAD', stamp(request.date), request.made.scope, before, sha256(''), sha256(chunk)].join('\n')
    before = hmac(request.made.key, text).toString('hex')
    const shown = at === spoil ? before.replace(/^./, (c) => (c === '0' ? '1' : '0')) : before
    return Buffer.from(`${chunk.length.toString(16)};chunk-signature=${shown}\r\n${chunk}\r\n`)
  })
  return { ...request, body: Buffer.concat(pieces) }
}

/** An unsigned body in chunks that ends with a checksum. */
export function trailed(side, method, path, content, trailer, options = {}) {
  const headers = { ...options.headers, 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': content.length, 'x-amz-trailer': trailer.split(':')[0] || 'x-amz-checksum-crc32' }
  const request = signed(side, method, path, { ...options, headers, hash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' })
  return { ...request, body: `${content.length.toString(16)}\r\n${content}\r\n0\r\n${trailer}${trailer && '\r\n'}\r\n` }
}

/** The fields of a form that may post one object. */
export function postPolicy({ conditions, fields, expiration, keys = KEYS, date = new Date(), region = 'us-east-1' }) {
  const day = stamp(date).slice(0, 8)
  const own = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${keys.id}/${day}/${region}/s3/aws4_request`,
    'X-Amz-Date': stamp(date),
  }
  const policy = { ...(expiration !== null && { expiration: expiration ?? new Date(Date.now() + 60_000).toISOString() }), conditions: [...conditions, ...Object.entries(own).map(([name, value]) => ({ [name]: value }))] }
  const text = Buffer.from(JSON.stringify(policy)).toString('base64')
  return { ...fields, ...own, Policy: text, 'X-Amz-Signature': hmac(signingKey(keys.secret, day, region, 's3'), text).toString('hex') }
}
