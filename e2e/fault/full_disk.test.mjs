// The file system of the files is full, really: a small one of our own. Uploads of every kind are refused with 507 and leave
// nothing behind, what was there is served and can be deleted, and once there is room again everything goes on.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  CompleteMultipartUploadCommand, CreateMultipartUploadCommand, GetObjectCommand, ListMultipartUploadsCommand, ListPartsCommand,
  PutObjectCommand, UploadPartCommand,
} from '@aws-sdk/client-s3'
import { ask, bodies, hash, refusedBy, s3, s3Key } from '../lib/files.mjs'
import { cleanUp, psql, scratch, start, until } from '../lib/program.mjs'
import { local } from '../lib/tenancies.mjs'

const MIB = 1 << 20
const SIZE = 200 * MIB
const Bucket = 'files'
const FULL = '507 InsufficientStorage'
/** TUS has texts for errors. */
const FULL_TUS = '507 There is no space left for files'

/** Puts a file system of its own where the files will be; says why if that is not permitted. */
function mount(dir) {
  const folder = path.join(dir, '.rowhouse/files')
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'tmpfs', folder], { stdio: 'pipe' })
  } catch (error) {
    fs.rmSync(dir, { recursive: true })
    return { why: `a file system cannot be mounted here: ${String(error.stderr ?? error.message).split('\n')[0]}` }
  }
  let mounted = true
  const free = () => {
    if (mounted) execFileSync('umount', ['--lazy', folder])
    mounted = false
  }
  // Whatever becomes of the tests, nothing stays mounted.
  process.on('exit', free)
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  return { folder, free }
}

const dir = scratch()
const disk = mount(dir)

describe('a full disk', { skip: disk.why }, () => {
  let program, app, all, headers
  const content = new Map()

  before(async () => {
    program = await start({ dir })
    app = { ...local(program), key: program.env.SERVICE_ROLE_KEY }
    all = s3(app, await s3Key({ isPooled: false }))
    headers = { authorization: `Bearer ${app.key}`, apikey: app.key }
    const made = await service('POST', '/bucket', { json: { name: Bucket } })
    assert.equal(made.status, 200, made.text)
  })
  after(async () => {
    await program?.stop()
    disk.free()
    await cleanUp(program)
  })

  const service = (method, route, options = {}) => ask(app, method, route, { ...options, headers: { ...headers, ...options.headers } })
  /** How an answer refuses, as the S3 protocol's client says it. */
  const refusal = (answer) => (answer.status < 300 ? null : `${answer.status} ${answer.body?.code ?? answer.text}`)

  const tus = { 'tus-resumable': '1.0.0' }
  const encoded = (fields) => Object.entries(fields).map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`).join(',')
  const begin = (name, length) =>
    service('POST', '/upload/resumable', { headers: { ...tus, 'upload-length': `${length}`, 'upload-metadata': encoded({ bucketName: Bucket, objectName: name }) } })
  const append = (where, offset, bytes) =>
    service('PATCH', where, { body: bytes, headers: { ...tus, 'upload-offset': `${offset}`, 'content-type': 'application/offset+octet-stream' } })
  const offsetOf = async (where) => Number((await service('HEAD', where, { headers: tus })).headers.get('upload-offset'))

  /** The ways to store a whole object: what refuses it, or null. */
  const WAYS = {
    rest: async (name, bytes) => refusal(await service('POST', `/object/${Bucket}/${name}`, { body: bytes, headers: { 'content-type': 'text/plain' } })),
    form: async (name, bytes) => {
      const form = new FormData()
      form.append('', new Blob([bytes], { type: 'text/plain' }), 'f')
      return refusal(await service('POST', `/object/${Bucket}/${name}`, { body: form }))
    },
    signedUrl: async (name, bytes) => {
      const sign = await service('POST', `/object/upload/sign/${Bucket}/${name}`, { json: {} })
      assert.equal(sign.status, 200, sign.text)
      return refusal(await ask(app, 'PUT', sign.body.url, { body: bytes, headers: { 'content-type': 'text/plain' } }))
    },
    s3: (name, bytes) => refusedBy(all.send(new PutObjectCommand({ Bucket, Key: name, Body: bytes }))),
    resumable: async (name, bytes) => {
      const begun = await begin(name, bytes.length)
      if (begun.status !== 201) return refusal(begun)
      return refusal(await append(begun.headers.get('location'), 0, bytes))
    },
  }

  const rows = async () => {
    const names = await psql(app.db, `select name from storage.objects where bucket_id = '${Bucket}' order by name collate "C"`)
    return names.split('\n').filter(Boolean)
  }
  async function isServed() {
    assert.deepEqual(await rows(), [...content.keys()].sort(), 'rows of what was taken, and of nothing else')
    for (const [name, md5] of content) {
      const answer = await service('GET', `/object/authenticated/${Bucket}/${name}`)
      assert.deepEqual([answer.status, hash(answer.bytes)], [200, md5], name)
    }
  }
  async function store(way, name, bytes) {
    const refused = await WAYS[way](name, bytes)
    if (refused === null) content.set(name, hash(bytes))
    return refused
  }
  async function remove(names) {
    const answer = await service('DELETE', `/object/${Bucket}`, { json: { prefixes: names } })
    assert.deepEqual([answer.status, answer.body?.length], [200, names.length], answer.text)
    for (const name of names) content.delete(name)
  }
  /** Bytes that are free on the file system of the files. */
  const room = () => {
    const { bavail, bsize } = fs.statfsSync(disk.folder)
    return bavail * bsize
  }

  it('refuses a body that does not fit, in every way, and keeps nothing of it', async () => {
    const filler = randomBytes(40 * MIB)
    for (let n = 0; room() > 60 * MIB; n += 1) assert.equal(await store('rest', `filler-${n}`, filler), null)
    const before = bodies(program).length
    const large = randomBytes(49 * MIB)
    for (const way of Object.keys(WAYS).filter((way) => way !== 'resumable')) {
      const free = room()
      assert.equal(await store(way, `large-${way}`, large), FULL, way)
      await until(`${way} leaves nothing behind`, () => bodies(program).length === before && room() === free)
    }
    await isServed()
  })

  let paused, multipart
  const piece = randomBytes(2 * MIB)
  const resumed = randomBytes(30 * MIB)
  const parts = [randomBytes(5 * MIB), randomBytes(5 * MIB)]

  const part = (PartNumber) => all.send(new UploadPartCommand({ Bucket, Key: 'parts', UploadId: multipart, PartNumber, Body: parts[PartNumber - 1] }))

  it('refuses everything when it is full, and serves and deletes all the same', async () => {
    const begun = await begin('resumed', resumed.length)
    assert.equal(begun.status, 201, begun.text)
    paused = begun.headers.get('location')
    assert.equal((await append(paused, 0, resumed.subarray(0, MIB))).status, 204)
    multipart = (await all.send(new CreateMultipartUploadCommand({ Bucket, Key: 'parts' }))).UploadId
    await part(1)

    for (let n = 0; (await store('rest', `small-${n}`, piece)) !== FULL; n += 1) assert.ok(n < SIZE / piece.length, 'it gets full')
    assert.ok(room() < SIZE / 20 + piece.length, `${room()} bytes are free`)
    for (const way of Object.keys(WAYS)) assert.equal(await store(way, `more-${way}`, piece), way === 'resumable' ? FULL_TUS : FULL, way)
    assert.equal(refusal(await append(paused, MIB, resumed.subarray(MIB))), FULL_TUS)
    assert.equal(await refusedBy(part(2)), FULL)
    const copy = await service('POST', '/object/copy', { json: { bucketId: Bucket, sourceKey: 'small-0', destinationKey: 'copy' } })
    if (copy.status === 200) content.set('copy', content.get('small-0')) // a link takes no room
    else assert.equal(refusal(copy), FULL)
    await isServed()
    const { Uploads } = await all.send(new ListMultipartUploadsCommand({ Bucket }))
    assert.deepEqual(Uploads.map(({ UploadId }) => UploadId), [multipart])
    const known = await all.send(new ListPartsCommand({ Bucket, Key: 'parts', UploadId: multipart }))
    assert.deepEqual(known.Parts.map(({ PartNumber, Size }) => [PartNumber, Size]), [[1, parts[0].length]])

    const moved = await service('POST', '/object/move', { json: { bucketId: Bucket, sourceKey: 'small-0', destinationKey: 'moved' } })
    assert.equal(moved.status, 200, 'a move takes no room')
    content.set('moved', content.get('small-0'))
    content.delete('small-0')
    await remove(['moved'])
    await isServed()
  })

  it('goes on when there is room again', async () => {
    await remove([...content.keys()].filter((name) => name.startsWith('filler-')))
    // Room that came back is seen a little later.
    await until('uploads are taken again', async () => (await store('rest', 'again', piece)) === null)
    for (const way of Object.keys(WAYS)) assert.equal(await store(way, `after-${way}`, piece), null, way)

    const offset = await offsetOf(paused)
    assert.ok(offset >= MIB && offset < resumed.length, `${offset}`)
    assert.equal((await append(paused, offset, resumed.subarray(offset))).status, 204)
    content.set('resumed', hash(resumed))

    const known = await all.send(new ListPartsCommand({ Bucket, Key: 'parts', UploadId: multipart }))
    const etags = [known.Parts[0].ETag, (await part(2)).ETag]
    const MultipartUpload = { Parts: etags.map((ETag, at) => ({ ETag, PartNumber: at + 1 })) }
    await all.send(new CompleteMultipartUploadCommand({ Bucket, Key: 'parts', UploadId: multipart, MultipartUpload }))
    content.set('parts', hash(Buffer.concat(parts)))
    const whole = await all.send(new GetObjectCommand({ Bucket, Key: 'parts' }))
    assert.equal(whole.ContentLength, 10 * MIB)
    await isServed()
  })

  it('cuts no resumable upload short: what came before the disk was full stays, and more goes behind it', async () => {
    const bytes = randomBytes(49 * MIB)
    const begun = await begin('long', bytes.length)
    const where = begun.headers.get('location')
    const filler = randomBytes(40 * MIB)
    for (let n = 0; room() > 80 * MIB; n += 1) assert.equal(await store('rest', `filler-${n}`, filler), null)
    assert.equal(await store('rest', 'filler-last', randomBytes(room() - 35 * MIB)), null)
    assert.equal((await append(where, 0, bytes.subarray(0, MIB))).status, 204)
    assert.equal(refusal(await append(where, MIB, bytes.subarray(MIB))), FULL_TUS)
    const offset = await offsetOf(where)
    assert.ok(offset >= MIB && offset < bytes.length, `${offset}`)
    await isServed()
    await remove([...content.keys()].filter((name) => name.startsWith('filler-')))
    let at = offset
    await until('the rest is taken', async () => {
      const answer = await append(where, at, bytes.subarray(at))
      if (answer.status !== 204) at = await offsetOf(where)
      return answer.status === 204
    })
    content.set('long', hash(bytes))
    await isServed()
  })

  it('leaves nothing behind at the end', async () => {
    const open = await psql(app.db, `select count(*) from storage.s3_multipart_uploads`)
    const resumable = await psql(app.db, `select count(*) from storage.resumable_uploads where key <> all (array(select name from storage.objects)) and key not like 'more-%'`)
    assert.deepEqual([open, resumable], ['0', '0'])
    await remove([...content.keys()])
    const left = bodies(program).filter((name) => fs.statSync(name).size > 0)
    assert.deepEqual(left, [])
  })
})
