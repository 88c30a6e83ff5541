// The program is killed outright while objects are stored in every way there is: what was acknowledged is there after the
// next start, whole; no row is without its bytes; uploads in pieces go on where they were.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { cleanUp, psql, relaunch, start, until } from '../lib/program.mjs'
import { postPolicy, signed } from '../conform/storage/s3.mjs'

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

  /** The steps of an upload in parts by the S3 protocol. */
  const parts = {
    async create(name) {
      const { answer, text } = await s3('POST', `/${BUCKET}/${name}`, { query: 'uploads=' })
      return answer.status === 200 ? text.match(/<UploadId>(.+)<\/UploadId>/)[1] : undefined
    },
    async put(name, upload, number, bytes) {
      const { answer } = await s3('PUT', `/${BUCKET}/${name}`, { query: `partNumber=${number}&uploadId=${upload}`, body: bytes })
      return answer.status === 200 ? answer.headers.get('etag') : undefined
    },
    async complete(name, upload, etags) {
      const list = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag.replaceAll('"', '&quot;')}</ETag></Part>`)
      const { answer, text } = await s3('POST', `/${BUCKET}/${name}`, { query: `uploadId=${upload}`, body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>` })
      // The status line may be sent before it is known how it ends: what counts is what the body says.
      return answer.status === 200 && text.includes('</CompleteMultipartUploadResult>') ? 'whole' : text.match(/<Code>(.+)<\/Code>/)?.[1]
    },
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
    async s3Form(name, done) {
      const bytes = randomBytes(150_000)
      const fields = postPolicy({ conditions: [{ bucket: BUCKET }, ['starts-with', '$key', '']], fields: { key: name } })
      const form = new FormData()
      for (const [field, value] of Object.entries(fields)) form.append(field, value)
      form.append('file', new Blob([bytes], { type: 'text/plain' }), 'f')
      const answer = await fetch(`${base}/s3/${BUCKET}`, { method: 'POST', body: form })
      if (answer.status === 200) done(name, bytes)
    },
    async s3Parts(name, done) {
      const bytes = randomBytes(150_000)
      const upload = await parts.create(name)
      const etag = upload && (await parts.put(name, upload, 1, bytes))
      if (etag && (await parts.complete(name, upload, [etag])) === 'whole') done(name, bytes)
    },
    async signedUrl(name, done) {
      const bytes = randomBytes(150_000)
      const sign = await ask('POST', `/object/upload/sign/${BUCKET}/${name}`, { json: {} })
      if (sign.status !== 200) return
      const { url } = await sign.json()
      const answer = await fetch(base + url, { method: 'PUT', body: bytes, headers: { 'content-type': 'text/plain' } })
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
    async move(name, done) {
      const bytes = randomBytes(150_000)
      const put = await ask('POST', `/object/${BUCKET}/${name}`, { body: bytes, headers: { 'content-type': 'text/plain' } })
      if (put.status !== 200) return
      const moved = `${name}-moved`
      done(name, bytes, [name, moved]) // until the move is acknowledged it is here or there
      const answer = await ask('POST', '/object/move', { json: { bucketId: BUCKET, sourceKey: name, destinationKey: moved } })
      if (answer.status === 200) done(name, bytes, [moved])
    },
  }

  /** Stores in all ways at once until `enough` was acknowledged, some of each, then kills; name → hash and where it may be. */
  async function storeUntilKilled(round, enough) {
    const acknowledged = new Map()
    const used = new Set()
    let dead = false
    const writers = Object.entries(WAYS).map(async ([way, store]) => {
      const done = (name, bytes, places = [name]) => {
        acknowledged.set(name, { md5: hash(bytes), places })
        if (places.length === 1) used.add(way)
      }
      for (let n = 0; !dead; n += 1) await store(`${round}/${way}-${n}`, done).catch(() => undefined)
    })
    const missing = () => Object.keys(WAYS).filter((way) => !used.has(way))
    try {
      await until('all ways have stored', () => acknowledged.size >= enough && missing().length === 0, 60).catch((error) => {
        throw new Error(`${error.message}: ${acknowledged.size}, none by ${missing()}`)
      })
      program.child.kill('SIGKILL')
      await program.ended
    } finally {
      dead = true
    }
    await Promise.all(writers)
    await relaunch(program)
    return acknowledged
  }

  /** The hash of what is served under a name, or nothing. */
  async function served(name) {
    const answer = await ask('GET', `/object/authenticated/${BUCKET}/${name}`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (answer.status === 200) return hash(bytes)
    assert.equal(JSON.parse(bytes).error, 'not_found', `${name}: ${bytes}`)
    return undefined
  }

  it('keeps every object that was acknowledged, and no row without its bytes', async () => {
    for (const round of [1, 2]) {
      const acknowledged = await storeUntilKilled(round, 60)
      for (const [name, { md5, places }] of acknowledged) {
        const found = await Promise.all(places.map(served))
        assert.deepEqual(found.filter(Boolean), [md5], `${name}: once in ${places}`)
        if (!places.includes(name)) assert.equal(await served(name), undefined, `${name} was moved away`)
      }
      const rows = await psql(program.env.DB_URL, `select name, metadata ->> 'size', metadata ->> 'eTag' from storage.objects where bucket_id = '${BUCKET}'`)
      for (const row of rows.split('\n')) {
        const [name, size, etag] = row.split('|')
        const answer = await ask('GET', `/object/authenticated/${BUCKET}/${name}`)
        assert.equal(answer.status, 200, name)
        const bytes = Buffer.from(await answer.arrayBuffer())
        // The ETag of an upload in parts is that of its parts.
        const wanted = etag.endsWith('-1"') ? `"${hash(Buffer.from(hash(bytes), 'hex'))}-1"` : `"${hash(bytes)}"`
        assert.deepEqual([`${bytes.length}`, wanted], [size, etag], name)
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

  const FIRST = randomBytes(5 << 20)

  /** Sends one step of many uploads at once and kills at the first answer; what every one of them was told. */
  async function killedIn(step, uploads) {
    let killed
    await Promise.all(uploads.map(async (upload) => {
      upload.told = await step(upload).catch(() => undefined)
      if (upload.told) killed ??= program.child.kill('SIGKILL')
    }))
    assert.ok(killed, 'one was acknowledged')
    await program.ended
    await relaunch(program)
  }

  const ids = (text) => [...text.matchAll(/<UploadId>([^<]+)<\/UploadId>/g)].map(([, id]) => id)
  const openUploads = async () => ids((await s3('GET', `/${BUCKET}`, { query: 'uploads=' })).text)

  /** Uploads in parts of a prefix, begun and sent up to a step. */
  async function begun(prefix, steps) {
    const uploads = Array.from({ length: 6 }, (_, n) => ({ name: `${prefix}-${n}`, last: randomBytes(1000 + n), etags: [] }))
    await Promise.all(uploads.map(async (upload) => {
      if (steps >= 1) upload.id = await parts.create(upload.name)
      if (steps >= 2) upload.etags = [await parts.put(upload.name, upload.id, 1, FIRST), await parts.put(upload.name, upload.id, 2, upload.last)]
    }))
    return uploads
  }

  async function finish(upload) {
    for (const [at, bytes] of [FIRST, upload.last].entries()) upload.etags[at] ??= await parts.put(upload.name, upload.id, at + 1, bytes)
    assert.equal(await parts.complete(upload.name, upload.id, upload.etags), 'whole', upload.name)
  }

  const isWhole = async ({ name, last }) => assert.equal(await served(name), hash(Buffer.concat([FIRST, last])), name)

  it('keeps uploads in parts that were begun', async () => {
    const uploads = await begun('begun', 0)
    await killedIn(async (upload) => (upload.id = await parts.create(upload.name)), uploads)
    const open = await openUploads()
    for (const upload of uploads) {
      if (upload.told) assert.ok(open.includes(upload.told), `${upload.name} is listed`)
      else upload.id = await parts.create(upload.name)
      await finish(upload)
      await isWhole(upload)
    }
  })

  it('keeps parts that were acknowledged', async () => {
    const uploads = await begun('part', 1)
    await killedIn((upload) => parts.put(upload.name, upload.id, 1, FIRST), uploads)
    for (const upload of uploads) {
      const { text } = await s3('GET', `/${BUCKET}/${upload.name}`, { query: `uploadId=${upload.id}` })
      const listed = text.match(/<PartNumber>1<\/PartNumber>/)
      if (upload.told) {
        assert.ok(listed && text.includes(`<Size>${FIRST.length}</Size>`), `${upload.name}: ${text}`)
        upload.etags = [upload.told]
      }
      assert.equal(await served(upload.name), undefined, 'nothing to be seen before it is whole')
      await finish(upload)
      await isWhole(upload)
    }
  })

  it('has an upload in parts that was being completed, or completes it then', async () => {
    const uploads = await begun('completed', 2)
    const complete = async ({ name, id, etags }) => ((await parts.complete(name, id, etags)) === 'whole' ? 'whole' : undefined)
    await killedIn(complete, uploads)
    for (const upload of uploads) {
      if (upload.told) await isWhole(upload)
      const again = await parts.complete(upload.name, upload.id, upload.etags)
      if (again !== 'whole') assert.equal(again, 'NoSuchUpload', 'it was completed then')
      await isWhole(upload)
    }
    const count = await psql(program.env.DB_URL, `select count(*) from storage.s3_multipart_uploads where key like 'completed-%'`)
    assert.equal(count, '0', 'completed uploads are no longer open')
  })

  it('goes on with uploads in pieces where they were', async () => {
    const bytes = randomBytes(300_000)
    const where = await begin('pieces', bytes.length)
    assert.equal((await piece(where, 0, bytes.subarray(0, 100_000))).status, 204)

    const upload = await parts.create('parts')
    const etags = [await parts.put('parts', upload, 1, FIRST)]
    assert.ok(etags[0])

    program.child.kill('SIGKILL')
    await program.ended
    await relaunch(program)

    const head = await ask('HEAD', where, { headers: tus })
    assert.equal(head.headers.get('upload-offset'), '100000')
    assert.equal((await piece(where, 100_000, bytes.subarray(100_000))).status, 204)
    const last = randomBytes(1000)
    etags.push(await parts.put('parts', upload, 2, last))
    assert.equal(await parts.complete('parts', upload, etags), 'whole')
    for (const [name, all] of [['pieces', bytes], ['parts', Buffer.concat([FIRST, last])]]) {
      const read = await ask('GET', `/object/authenticated/${BUCKET}/${name}`)
      assert.equal(hash(Buffer.from(await read.arrayBuffer())), hash(all), name)
    }
  })
})
