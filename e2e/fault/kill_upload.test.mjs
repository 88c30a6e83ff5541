// The program is killed outright while objects are stored in every way there is: what was acknowledged is there after the
// next start, whole; no row is without its bytes; uploads in pieces go on where they were.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { cleanUp, psql, relaunch, start } from '../lib/program.mjs'
import { signed } from '../conform/storage/s3.mjs'

const BUCKET = 'kept'
const hash = (bytes) => createHash('md5').update(bytes).digest('hex')
const base64 = (text) => Buffer.from(text).toString('base64')

describe('kill -9 of the program during uploads', () => {
  let program, base, key

  before(async () => {
    program = await start()
    base = `${program.env.API_URL}/storage/v1`
    key = program.env.SERVICE_ROLE_KEY
    const made = await ask('POST', '/bucket', { json: { name: BUCKET } })
    assert.equal(made.status, 200, await made.text())
  })
  after(() => cleanUp(program))

  function ask(method, path, { json, body, headers } = {}) {
    const all = { authorization: `Bearer ${key}`, apikey: key, ...(json && { 'content-type': 'application/json' }), ...headers }
    return fetch(path.startsWith('http') ? path : base + path, { method, headers: all, body: json ? JSON.stringify(json) : body })
  }

  async function s3(method, path, options) {
    const { origin, host, pathname } = new URL(base)
    const { url, headers, body } = signed({ host, prefix: pathname }, method, path, options)
    delete headers.host // fetch says it itself
    const answer = await fetch(origin + url, { method, headers, body })
    return { answer, text: await answer.text() }
  }

  const tus = { 'tus-resumable': '1.0.0', 'x-upsert': 'true' }

  /** Begins an upload in pieces; answers its address. */
  async function begin(name, length) {
    const metadata = Object.entries({ bucketName: BUCKET, objectName: name, contentType: 'text/plain' })
    const headers = { ...tus, 'upload-length': `${length}`, 'upload-metadata': metadata.map(([field, value]) => `${field} ${base64(value)}`).join(',') }
    const answer = await ask('POST', '/upload/resumable', { headers })
    assert.equal(answer.status, 201, await answer.text())
    return answer.headers.get('location')
  }

  const piece = (where, offset, bytes) =>
    ask('PATCH', where, { body: bytes, headers: { ...tus, 'upload-offset': `${offset}`, 'content-type': 'application/offset+octet-stream' } })

  /** One way of storing, again and again until the program is dead: `done` gets what was acknowledged. */
  const WAYS = {
    async raw(name, done) {
      const bytes = randomBytes(150_000)
      const answer = await ask('POST', `/object/${BUCKET}/${name}`, { body: bytes, headers: { 'content-type': 'text/plain' } })
      if (answer.status === 200) done(name, bytes)
    },
    async form(name, done) {
      const bytes = randomBytes(150_000)
      const form = new FormData()
      form.append('', new Blob([bytes], { type: 'text/plain' }), 'f')
      const answer = await ask('POST', `/object/${BUCKET}/${name}`, { body: form })
      if (answer.status === 200) done(name, bytes)
    },
    async resumable(name, done) {
      const bytes = randomBytes(150_000)
      const where = await begin(name, bytes.length)
      for (let at = 0; at < bytes.length; at += 50_000) {
        const answer = await piece(where, at, bytes.subarray(at, at + 50_000))
        if (answer.status !== 204) return
      }
      done(name, bytes)
    },
    async s3(name, done) {
      const bytes = randomBytes(150_000)
      const { answer } = await s3('PUT', `/${BUCKET}/${name}`, { body: bytes })
      if (answer.status === 200) done(name, bytes)
    },
    async copy(name, done) {
      const bytes = randomBytes(150_000)
      const put = await ask('POST', `/object/${BUCKET}/${name}`, { body: bytes, headers: { 'content-type': 'text/plain' } })
      if (put.status !== 200) return
      done(name, bytes)
      const answer = await ask('POST', '/object/copy', { json: { bucketId: BUCKET, sourceKey: name, destinationKey: `${name}-copy` } })
      if (answer.status === 200) done(`${name}-copy`, bytes)
    },
  }

  /** Stores in all ways at once until `enough` was acknowledged, then kills; answers name → hash. */
  async function storeUntilKilled(round, enough) {
    const acknowledged = new Map()
    let dead = false
    const done = (name, bytes) => acknowledged.set(name, hash(bytes))
    const writers = Object.entries(WAYS).map(async ([way, store]) => {
      for (let n = 0; !dead; n += 1) await store(`${round}/${way}-${n}`, done).catch(() => undefined)
    })
    while (acknowledged.size < enough) await new Promise((resolve) => setTimeout(resolve, 5))
    program.child.kill('SIGKILL')
    await program.ended
    dead = true
    await Promise.all(writers)
    await relaunch(program)
    return acknowledged
  }

  it('keeps every object that was acknowledged, and no row without its bytes', async () => {
    for (const round of [1, 2]) {
      const acknowledged = await storeUntilKilled(round, 60)
      for (const [name, md5] of acknowledged) {
        const answer = await ask('GET', `/object/authenticated/${BUCKET}/${name}`)
        assert.equal(answer.status, 200, name)
        assert.equal(hash(Buffer.from(await answer.arrayBuffer())), md5, name)
      }
      const rows = await psql(program.env.DB_URL, `select name, metadata ->> 'size', metadata ->> 'eTag' from storage.objects where bucket_id = '${BUCKET}'`)
      for (const row of rows.split('\n')) {
        const [name, size, etag] = row.split('|')
        const answer = await ask('GET', `/object/authenticated/${BUCKET}/${name}`)
        assert.equal(answer.status, 200, name)
        const bytes = Buffer.from(await answer.arrayBuffer())
        assert.deepEqual([`${bytes.length}`, `"${hash(bytes)}"`], [size, etag], name)
      }
    }
  })

  it('lets one key have the bytes of one writer, the last acknowledged or a later one', async () => {
    const sent = []
    let acknowledged = -1
    let dead = false
    const writer = (async () => {
      while (!dead) {
        const bytes = randomBytes(100_000)
        const at = sent.push(hash(bytes)) - 1
        const answer = await ask('PUT', `/object/${BUCKET}/one`, { body: bytes, headers: { 'content-type': 'text/plain' } }).catch(() => undefined)
        if (answer?.status === 200) acknowledged = at
      }
    })()
    while (acknowledged < 20) await new Promise((resolve) => setTimeout(resolve, 5))
    program.child.kill('SIGKILL')
    await program.ended
    dead = true
    await writer
    await relaunch(program)
    const answer = await ask('GET', `/object/authenticated/${BUCKET}/one`)
    const found = sent.indexOf(hash(Buffer.from(await answer.arrayBuffer())))
    assert.ok(found >= acknowledged, `the ${found}th of ${sent.length}, acknowledged was the ${acknowledged}th`)
  })

  it('goes on with uploads in pieces where they were', async () => {
    const bytes = randomBytes(300_000)
    const where = await begin('pieces', bytes.length)
    assert.equal((await piece(where, 0, bytes.subarray(0, 100_000))).status, 204)

    const parts = [randomBytes(5 << 20), randomBytes(1000)]
    const { text } = await s3('POST', `/${BUCKET}/parts`, { query: 'uploads=' })
    const upload = text.match(/<UploadId>(.+)<\/UploadId>/)[1]
    const etags = []
    const part = async (number) => {
      const { answer } = await s3('PUT', `/${BUCKET}/parts`, { query: `partNumber=${number}&uploadId=${upload}`, body: parts[number - 1] })
      assert.equal(answer.status, 200)
      etags.push(answer.headers.get('etag'))
    }
    await part(1)

    program.child.kill('SIGKILL')
    await program.ended
    await relaunch(program)

    const head = await ask('HEAD', where, { headers: tus })
    assert.equal(head.headers.get('upload-offset'), '100000')
    assert.equal((await piece(where, 100_000, bytes.subarray(100_000))).status, 204)
    await part(2)
    const list = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag></Part>`)
    const { answer } = await s3('POST', `/${BUCKET}/parts`, { query: `uploadId=${upload}`, body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>` })
    assert.equal(answer.status, 200)
    for (const [name, all] of [['pieces', bytes], ['parts', Buffer.concat(parts)]]) {
      const read = await ask('GET', `/object/authenticated/${BUCKET}/${name}`)
      assert.equal(hash(Buffer.from(await read.arrayBuffer())), hash(all), name)
    }
  })
})
