// Files in an object store elsewhere, by the program's own options: everything works as on a disk, also while the store is
// slow; while it is away, requests are refused and nothing is half done; and once it is back everything goes on.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { after, before, describe, it } from 'node:test'
import * as tus from 'tus-js-client'
import {
  CompleteMultipartUploadCommand, CreateMultipartUploadCommand, GetObjectCommand, ListPartsCommand, PutObjectCommand, UploadPartCommand,
} from '@aws-sdk/client-s3'
import { client } from '../lib/client.mjs'
import { ask, bodies, hash, png, refusedBy, restart, s3, s3Key, sizeOf } from '../lib/files.mjs'
import { cleanUp, psql, scratch, start, until } from '../lib/program.mjs'
import { local, ok } from '../lib/tenancies.mjs'

const MIB = 1 << 20
const Bucket = 'files'
const SECRET = 'the-secret-of-the-object-store'

const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache')
const server = path.join(cache, 'rowhouse-ci/moto/bin/moto_server')

/** The server of S3's protocol that `scripts/setup.sh s3` installs, with a bucket. It ends with this process. */
class Moto {
  static async start() {
    const moto = new Moto()
    // The shell lives as long as our end of its input, and takes the server with it.
    const script = '"$0" -H 127.0.0.1 -p 0 2>&1 & read -r line; kill $!'
    moto.shell = spawn('sh', ['-c', script, server], { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = readline.createInterface(moto.shell.stdout)
    lines.on('line', (line) => (moto.port ??= Number(line.match(/http:\/\/127\.0\.0\.1:(\d+)/)?.[1] ?? 0) || undefined))
    await until('moto says its port', () => moto.port, 120)
    assert.equal((await moto.ask('PUT', '/store')).status, 200)
    return moto
  }

  ask(method, route) {
    const authorization = 'AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0'
    return fetch(`http://127.0.0.1:${this.port}${route}`, { method, headers: { authorization } })
  }

  /** What lies in the bucket: names. */
  async names() {
    const text = await (await this.ask('GET', '/store?list-type=2&max-keys=1000')).text()
    return [...text.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, name]) => name)
  }

  async stop() {
    this.shell.stdin.end()
    await once(this.shell, 'exit')
  }
}

/** Stands between the program and the store: lets through, keeps waiting, answers for it, or is not there. */
class Proxy {
  sockets = new Set()
  waiting = []
  mode = 'open'
  /** Bytes that the program has sent. */
  passed = 0

  static async listen(target) {
    const proxy = new Proxy()
    proxy.target = target
    proxy.server = net.createServer({ pauseOnConnect: true }, (socket) => proxy.accept(socket))
    proxy.server.listen(0, '127.0.0.1')
    await once(proxy.server, 'listening')
    proxy.port = proxy.server.address().port
    return proxy
  }

  accept(socket) {
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    if (this.mode === 'cut') socket.destroy()
    else if (this.mode === 'slow') this.waiting.push(socket)
    else if (this.mode === 'failing') this.fail(socket)
    else this.join(socket)
  }

  join(socket) {
    const other = net.connect(this.target, '127.0.0.1')
    other.on('error', () => socket.destroy())
    other.on('close', () => socket.destroy())
    socket.on('close', () => other.destroy())
    socket.on('data', (bytes) => (this.passed += bytes.length))
    socket.pipe(other).pipe(socket)
    socket.resume()
  }

  fail(socket) {
    socket.resume()
    socket.end('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
  }

  /** From now on; what is connected is cut off, so that the change holds at once. */
  become(mode) {
    this.mode = mode
    for (const socket of this.sockets) if (!this.waiting.includes(socket)) socket.destroy()
    if (mode === 'open') for (const socket of this.waiting.splice(0)) this.join(socket)
    else for (const socket of this.waiting.splice(0)) socket.destroy()
  }

  async close() {
    this.become('cut')
    this.server.close()
    await once(this.server, 'close')
  }
}

describe('files in an object store', { skip: fs.existsSync(server) ? false : `${server} is missing: run scripts/setup.sh s3` }, () => {
  let moto, proxy, program, app, all, files, headers

  before(async () => {
    moto = await Moto.start()
    proxy = await Proxy.listen(moto.port)
    const dir = scratch()
    const secret = path.join(dir, 'secret')
    fs.writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 })
    const place = ['--files', 's3://store/some/prefix', '--files-endpoint', `http://127.0.0.1:${proxy.port}`, '--files-allow-http']
    program = await start({ dir, extra: [...place, '--files-access-key', 'key', '--files-secret-file', secret] })
    app = local(program)
    headers = { authorization: `Bearer ${app.serviceKey}`, apikey: app.serviceKey }
    all = s3(app, await s3Key({ isPooled: false }))
    const service = client(app, app.serviceKey)
    ok(await service.storage.createBucket(Bucket))
    files = service.storage.from(Bucket)
  })
  after(async () => {
    await cleanUp(program)
    await proxy?.close()
    await moto?.stop()
  })

  const service = (method, route, options = {}) => ask(app, method, route, { ...options, headers: { ...headers, ...options.headers } })
  const put = (name, body, more = {}) => service('POST', `/object/${Bucket}/${name}`, { body, headers: { 'content-type': 'text/plain', ...more } })
  const get = (name, more = {}) => service('GET', `/object/authenticated/${Bucket}/${name}`, { headers: more })
  const stored = async (name) => {
    const answer = await get(name)
    return answer.status === 200 ? hash(answer.bytes) : `${answer.status} ${answer.text}`
  }
  const is = async (name, bytes) => assert.equal(await stored(name), hash(bytes), name)
  const rows = () => psql(app.db, `select count(*) from storage.objects where bucket_id = '${Bucket}'`)

  it('keeps small and large bodies there, and none on the disk', async () => {
    for (const [name, length] of [['empty', 0], ['small', 1000], ['large', 20_000_000]]) {
      const bytes = randomBytes(length)
      const answer = await put(name, bytes)
      assert.equal(answer.status, 200, answer.text)
      await is(name, bytes)
      const etag = ok(await files.info(name)).etag
      assert.equal(etag, `"${hash(bytes)}"`)
    }
    const names = await moto.names()
    assert.equal(names.length, 3)
    for (const name of names) assert.match(name, /^some\/prefix\/bodies\/[a-z]{20}\/[0-9a-f-]{36}$/)
    assert.deepEqual(bodies(program), [])
  })

  it('overwrites, and removes what was there', async () => {
    const bytes = randomBytes(30_000)
    assert.equal((await put('small', randomBytes(10))).body.error, 'Duplicate')
    assert.equal((await put('small', bytes, { 'x-upsert': 'true' })).status, 200)
    await is('small', bytes)
    await until('the old body is gone', async () => (await moto.names()).length === 3)
  })

  it('answers ranges, also of large bodies', async () => {
    const whole = (await get('large')).bytes
    for (const [range, from, to] of [['0-0', 0, 1], ['100-299', 100, 300], ['9000000-17000000', 9e6, 17e6 + 1], ['-5', 20e6 - 5, 20e6]]) {
      const answer = await get('large', { range: `bytes=${range}` })
      assert.deepEqual([answer.status, answer.headers.get('content-range')], [206, `bytes ${from}-${to - 1}/20000000`])
      assert.ok(answer.bytes.equals(whole.subarray(from, to)), range)
    }
    assert.equal((await get('large', { range: 'bytes=20000000-' })).status, 416)
  })

  it('goes on with resumable uploads after the program was killed', async () => {
    const PIECE = 6 * MIB
    const bytes = randomBytes(3 * PIECE + 17)
    const options = {
      endpoint: `${app.url}/storage/v1/upload/resumable`, headers, retryDelays: null, uploadDataDuringCreation: true, chunkSize: PIECE,
      metadata: { bucketName: Bucket, objectName: 'resumed', contentType: 'application/x-noise' },
    }
    const url = await new Promise((resolve, reject) => {
      const first = new tus.Upload(bytes, {
        ...options, onError: reject, onChunkComplete: (_, sent) => sent >= 2 * PIECE && first.abort().then(() => resolve(first.url), reject),
      })
      first.start()
    })
    await restart(program, 'SIGKILL')
    const seen = []
    await new Promise((resolve, reject) => {
      const onChunkComplete = (_, sent) => seen.push(sent)
      new tus.Upload(bytes, { ...options, uploadUrl: url, onError: reject, onSuccess: resolve, onChunkComplete }).start()
    })
    assert.ok(seen[0] > 2 * PIECE, `${seen}`)
    await is('resumed', bytes)
    await until('its stretches are gone', async () => !(await moto.names()).some((name) => name.includes('/growing/')))
  })

  it('takes uploads in parts by the S3 protocol', async () => {
    const parts = [randomBytes(9 * MIB), randomBytes(5 * MIB), randomBytes(100)]
    const { UploadId } = await all.send(new CreateMultipartUploadCommand({ Bucket, Key: 'parts' }))
    const etags = []
    for (const [at, Body] of parts.entries()) etags.push((await all.send(new UploadPartCommand({ Bucket, Key: 'parts', UploadId, PartNumber: at + 1, Body }))).ETag)
    await restart(program, 'SIGKILL')
    assert.equal((await all.send(new ListPartsCommand({ Bucket, Key: 'parts', UploadId }))).Parts.length, 3)
    const MultipartUpload = { Parts: etags.map((ETag, at) => ({ ETag, PartNumber: at + 1 })) }
    await all.send(new CompleteMultipartUploadCommand({ Bucket, Key: 'parts', UploadId, MultipartUpload }))
    await is('parts', Buffer.concat(parts))
    await until('no part remains', async () => (await moto.names()).length === Number(await rows()))
  })

  it('copies, moves and renders', async () => {
    const bytes = (await get('large')).bytes
    ok(await files.copy('large', 'copies/large'))
    ok(await files.move('large', 'moved'))
    await is('copies/large', bytes)
    await is('moved', bytes)
    assert.equal((await get('large')).body.error, 'not_found')
    const picture = png(400, 300)
    ok(await files.upload('picture.png', picture, { contentType: 'image/png' }))
    const small = ok(await files.download('picture.png', { transform: { width: 100, height: 50, format: 'origin' } }))
    assert.deepEqual(sizeOf(Buffer.from(await small.arrayBuffer())), [100, 50])
    await is('picture.png', picture)
  })

  /** Requests of every kind; what they are answered with. */
  const attempts = (prefix) => ({
    rest: async () => (await put(`${prefix}-rest`, randomBytes(1000))).status,
    large: async () => (await put(`${prefix}-large`, randomBytes(10e6))).status,
    overwrite: async () => (await put('small', randomBytes(999), { 'x-upsert': 'true' })).status,
    s3: async () => Number((await refusedBy(all.send(new PutObjectCommand({ Bucket, Key: `${prefix}-s3`, Body: randomBytes(1000) }))) ?? '200').slice(0, 3)),
    resumable: async () => {
      const metadata = Object.entries({ bucketName: Bucket, objectName: `${prefix}-resumable` }).map(([name, value]) => `${name} ${btoa(value)}`).join(',')
      return (await service('POST', '/upload/resumable', { body: 'x', headers: { 'tus-resumable': '1.0.0', 'upload-length': '1', 'upload-metadata': metadata, 'content-type': 'application/offset+octet-stream' } })).status
    },
    copy: async () => (await service('POST', '/object/copy', { json: { bucketId: Bucket, sourceKey: 'moved', destinationKey: `${prefix}-copy` } })).status,
    download: async () => (await get('moved')).status,
    range: async () => (await get('moved', { range: 'bytes=5-9' })).status,
    s3Download: async () => Number((await refusedBy(all.send(new GetObjectCommand({ Bucket, Key: 'moved' }))) ?? '200').slice(0, 3)),
  })

  async function answered(prefix) {
    const all = await Promise.all(Object.entries(attempts(prefix)).map(async ([way, attempt]) => [way, await attempt()]))
    return Object.fromEntries(all)
  }

  const TAKEN = [200, 201, 206]
  const NEW = ['rest', 'large', 's3', 'resumable', 'copy']

  for (const mode of ['cut', 'failing']) {
    it(`refuses while the store is ${mode === 'cut' ? 'away' : 'failing'}, and has nothing half done`, async () => {
      const small = await stored('small')
      const [count, names] = [await rows(), (await moto.names()).sort()]
      proxy.become(mode)
      const statuses = await answered(mode)
      for (const [way, status] of Object.entries(statuses)) assert.ok(status >= 500 && status < 600, `${way}: ${status}`)
      assert.equal(await rows(), count, 'no row without its body')
      assert.equal(ok(await files.list('')).some(({ name }) => name.startsWith(mode)), false, 'lists need no store')
      const refused = await get('moved')
      assert.ok(!/127\.0\.0\.1|prefix|secret/.test(refused.text), refused.text)
      proxy.become('open')
      assert.equal(await stored('small'), small, 'as it was before')
      for (const way of NEW) assert.equal((await get(`${mode}-${way}`)).body.error, 'not_found', way)
      assert.deepEqual((await moto.names()).sort().filter((name) => name.includes('/bodies/')), names.filter((name) => name.includes('/bodies/')))
      const again = await answered(mode)
      for (const [way, status] of Object.entries(again)) assert.ok(TAKEN.includes(status), `${way}: ${status}`)
    })
  }

  it('ends no download early as if it were whole', async () => {
    const whole = hash((await get('copies/large')).bytes)
    const answer = await fetch(`${app.url}/storage/v1/object/authenticated/${Bucket}/copies/large`, { headers })
    assert.equal(answer.status, 200)
    const reader = answer.body.getReader()
    const pieces = [(await reader.read()).value]
    proxy.become('cut')
    const read = async () => {
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) pieces.push(piece.value)
      return hash(Buffer.concat(pieces))
    }
    const end = await read().catch(() => 'broken')
    proxy.become('open')
    assert.ok(end === 'broken' || end === whole, 'an error, or all of it')
    assert.equal(hash((await get('copies/large')).bytes), whole)
  })

  it('goes on with resumable uploads when the store is back', async () => {
    const PIECE = MIB
    for (const pieces of [1, 3]) {
      const bytes = randomBytes(4 * PIECE - 5) // three pieces stored: only the last one is missing
      const name = `after-${pieces}`
      let refused = 0
      await new Promise((resolve, reject) => {
        new tus.Upload(bytes, {
          endpoint: `${app.url}/storage/v1/upload/resumable`, headers, chunkSize: PIECE, metadata: { bucketName: Bucket, objectName: name },
          retryDelays: [0, 0, 0],
          onChunkComplete: (_, sent) => sent === pieces * PIECE && proxy.become('cut'),
          onShouldRetry: (error) => {
            refused = error.originalResponse.getStatus()
            proxy.become('open')
            return true
          },
          onError: reject,
          onSuccess: resolve,
        }).start()
      })
      assert.ok(refused >= 500, `${refused}`)
      await is(name, bytes)
    }
  })

  it('goes on with uploads in parts when the store is back', async () => {
    const Key = 'parts-after'
    const parts = [randomBytes(5 * MIB), randomBytes(100)]
    const { UploadId } = await all.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    const part = (PartNumber) => all.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: parts[PartNumber - 1] }))
    const etags = [(await part(1)).ETag]
    proxy.become('cut')
    assert.match(await refusedBy(part(2)), /^5/)
    proxy.become('open')
    assert.deepEqual((await all.send(new ListPartsCommand({ Bucket, Key, UploadId }))).Parts.map(({ ETag }) => ETag), etags)
    etags.push((await part(2)).ETag)
    const MultipartUpload = { Parts: etags.map((ETag, at) => ({ ETag, PartNumber: at + 1 })) }
    const complete = () => all.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }))
    proxy.become('cut')
    assert.notEqual(await refusedBy(complete()), null)
    proxy.become('open')
    assert.equal((await get(Key)).body.error, 'not_found')
    await complete()
    await is(Key, Buffer.concat(parts))
  })

  it('waits for a store that is slow', async () => {
    proxy.become('slow')
    const asked = answered('slow')
    await until('the store is asked', () => proxy.waiting.length >= 5)
    assert.equal(ok(await files.list('')).length > 0, true, 'whoever needs no store does not wait for it')
    assert.equal((await fetch(`${app.url}/rest/v1/`, { headers })).status, 200)
    proxy.become('open')
    for (const [way, status] of Object.entries(await asked)) assert.ok(TAKEN.includes(status), `${way}: ${status}`)
    for (const way of NEW) assert.equal((await get(`slow-${way}`)).status, 200, way)
  })

  it('goes on where a connection broke in the middle of an upload', async () => {
    const bytes = randomBytes(30e6)
    const before = proxy.passed
    const upload = put('broken', bytes)
    await until('it is on its way', () => proxy.passed > before + 9e6)
    proxy.become('open') // cuts what is connected
    const answer = await upload
    if (answer.status === 200) await is('broken', bytes)
    else {
      assert.ok(answer.status >= 500, `${answer.status}`)
      assert.equal((await get('broken')).body.error, 'not_found')
    }
  })

  it('deletes while the store is away: what is deleted is gone, though its body stays for the sweeper', async () => {
    const before = (await moto.names()).length
    proxy.become('cut')
    ok(await files.remove(['copies/large']))
    proxy.become('open')
    assert.equal((await get('copies/large')).body.error, 'not_found')
    assert.ok(before - (await moto.names()).length <= 1)
  })

  it('empties a bucket', async () => {
    const kept = 1 // what the sweeper will find: the body of the test before
    await until('nothing else lies there', async () => (await moto.names()).length - Number(await rows()) <= kept)
    const emptied = await service('POST', `/bucket/${Bucket}/empty`)
    assert.equal(emptied.status, 200, emptied.text)
    await until('the bucket is empty', async () => (await rows()) === '0')
    await until('the store is empty', async () => (await moto.names()).length <= kept)
    const removed = await service('DELETE', `/bucket/${Bucket}`)
    assert.equal(removed.status, 200, removed.text)
  })

  it('never tells the secret of the store', () => {
    assert.ok(!program.log.includes(SECRET) && !program.stdout.includes(SECRET))
  })
})
