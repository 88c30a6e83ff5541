// Two servers that are asked the same, and what of their answers has to be the same.

import http from 'node:http'
import { createHmac } from 'node:crypto'
import { parseXml } from './xml.mjs'

export const SECRET = 'super-secret-jwt-token-with-at-least-32-characters-long'

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token as the owner of the secret may make it. */
export function sign(payload, { secret = SECRET, header = { alg: 'HS256', typ: 'JWT' } } = {}) {
  const signed = `${encode(header)}.${encode(payload)}`
  if (header.alg === 'none') return `${signed}.`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** One server under comparison, and what the cases remember of its answers. It may have a secret and S3 keys of its own. */
export class Side {
  constructor(name, base, { secret, keys } = {}) {
    const url = new URL(base)
    Object.assign(this, { secret, keys })
    Object.assign(this, { name, base: base.replace(/\/$/, ''), host: url.host, prefix: url.pathname.replace(/\/$/, ''), vars: {} })
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
    this.address = { host: url.hostname, port: url.port }
  }

  /** Sends exactly what it is told: paths are not tidied, headers not completed. An answer that never comes is one too. */
  ask({ method = 'GET', path, url, headers = {}, bearer, json, body, chunked, declared }) {
    let sent = json === undefined ? body : JSON.stringify(json)
    if (sent !== undefined && !Buffer.isBuffer(sent)) sent = Buffer.from(sent)
    const all = { ...headers }
    if (bearer) all.authorization ??= `Bearer ${bearer}`
    if (this.secret && all.authorization) all.authorization = all.authorization.replace(/^(bearer )(.+)$/i, (_, scheme, token) => scheme + this.own(token))
    if (json !== undefined) all['content-type'] ??= 'application/json'
    if (declared !== undefined) all['content-length'] = declared
    else if (sent && !chunked) all['content-length'] ??= sent.length
    else if (!sent && !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method)) all['content-length'] ??= 0
    return new Promise((resolve) => {
      const options = { ...this.address, method, path: url ?? this.prefix + path, headers: all, agent: this.agent, timeout: 30_000 }
      const failed = (error) => resolve({ status: error.code ?? 'failed', headers: {}, body: '' })
      const request = http.request(options, (answer) => {
        const parts = []
        answer.on('data', (part) => parts.push(part))
        answer.on('end', () => resolve(read(answer, Buffer.concat(parts))))
        answer.on('error', failed)
      })
      request.on('error', failed)
      request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'timeout' })))
      if (declared !== undefined && declared !== sent?.length) request.flushHeaders()
      else request.end(sent)
      if (declared !== undefined && declared !== sent?.length) request.on('response', () => setImmediate(() => request.destroy()))
    })
  }

  /** A token of the cases as this side would have signed it; what they spoilt stays as it is. */
  own(token) {
    const [header, payload] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
    try {
      const [head, claims] = [JSON.parse(header), JSON.parse(payload)]
      return token === sign(claims, { header: head }) && head.alg === 'HS256' ? sign(claims, { secret: this.secret, header: head }) : token
    } catch {
      return token
    }
  }

  close() {
    this.agent.destroy()
  }
}

/** Bodies become what they say: JSON, XML, text, or the hash of other bytes. */
function read(answer, bytes) {
  const type = answer.headers['content-type'] ?? ''
  const text = bytes.toString()
  let body = text
  if (type.startsWith('application/json')) {
    try {
      body = JSON.parse(text)
    } catch {
      // Not JSON after all.
    }
  } else if (type.startsWith('application/xml') && text.startsWith('<')) body = parseXml(text)
  return { status: answer.statusCode, headers: answer.headers, body, structured: body !== text }
}

const HEADERS = [
  'content-type', 'content-length', 'content-range', 'content-disposition', 'content-encoding', 'cache-control', 'etag', 'last-modified',
  'accept-ranges', 'expires', 'location', 'x-robots-tag', 'x-transformations', 'tus-resumable', 'tus-version', 'tus-extension',
  'tus-max-size', 'tus-complete', 'upload-offset', 'upload-length', 'upload-metadata', 'upload-defer-length', 'upload-expires',
  'x-amz-bucket-region', 'x-amz-missing-meta', 'x-amz-meta-kind', 'x-amz-meta-note', 'allow',
]

/** What of an answer has to be equal on both sides: random and timely parts become names of their kind. */
export function essence(answer, side) {
  const headers = {}
  for (const name of HEADERS) {
    const value = answer.headers[name]
    if (value !== undefined) headers[name] = header(name, value, side)
  }
  // The length of a document with ids and times in it says nothing.
  if (answer.structured) delete headers['content-length']
  return { status: answer.status, headers, body: generic(answer.body, side, '') }
}

function header(name, value, side) {
  if (name === 'last-modified' || name === 'expires' || name === 'upload-expires') return Number.isNaN(Date.parse(value)) ? value : '<date>'
  if (name === 'content-type') return value.toLowerCase().replace(/;\s*/g, '; ')
  if (name === 'location') return value.replace(side.base, '<base>').replace(side.prefix, '').replace(/(resumable\/(?:sign\/)?).+/, '$1<id>')
  return plain(value, side)
}

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g
const TOKEN = /\beyJ[\w-]*\.[\w-]+\.[\w-]*/g
const OPAQUE = new Set(['UploadId', 'NextContinuationToken', 'ContinuationToken', 'nextCursor', 'NextKeyMarker', 'NextUploadIdMarker', 'KeyMarker', 'UploadIdMarker'])

function plain(text, side) {
  return text
    .replaceAll(side.base, '<base>')
    .replace(TOKEN, (token) => `<jwt ${JSON.stringify(claims(token, side))}>`)
    .replace(/(Route \w+:\S*\/resumable\/(?:sign\/)?)\S+/, '$1<id>')
    .replace(UUID, '<uuid>')
    .replace(TIME, '<time>')
}

/** The claims of a token, its times as the span between them. */
function claims(token, side) {
  try {
    const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()))
    const { iat, exp, ...rest } = payload
    return { alg: header.alg, ...generic(rest, side, ''), lives: exp - iat }
  } catch {
    return 'unreadable'
  }
}

function generic(value, side, key) {
  if (Array.isArray(value)) return value.map((item) => generic(item, side, key))
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.keys(value).sort().map((name) => [name, generic(value[name], side, name)]))
  }
  if (typeof value === 'string') return OPAQUE.has(key) && value !== '' ? '<opaque>' : plain(value, side)
  return value
}
