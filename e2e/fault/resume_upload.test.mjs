// A client of resumable uploads as applications use it, while the program is killed under it: the client finds out by
// itself how far it had come, goes on, and the object is whole.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import ws from 'ws'
import { createClient } from '@supabase/supabase-js'
import * as tus from 'tus-js-client'
import { cleanUp, relaunch, start } from '../lib/program.mjs'

const PIECE = 256 * 1024

describe('tus-js-client', () => {
  let program, service, key

  before(async () => {
    program = await start()
    key = program.env.SERVICE_ROLE_KEY
    service = createClient(program.env.API_URL, key, { realtime: { transport: ws } })
    const { error } = await service.storage.createBucket('files')
    assert.equal(error, null)
  })
  after(() => cleanUp(program))

  /** Uploads; `progress` is told how many bytes the server has. Answers the upload's address. */
  function upload(name, bytes, { progress = () => {}, endpoint = '/upload/resumable', headers, ...options } = {}) {
    return new Promise((resolve, reject) => {
      const upload = new tus.Upload(bytes, {
        endpoint: `${program.env.API_URL}/storage/v1${endpoint}`,
        retryDelays: Array(30).fill(500),
        headers: headers ?? { authorization: `Bearer ${key}`, apikey: key, 'x-upsert': 'true' },
        uploadDataDuringCreation: true,
        metadata: { bucketName: 'files', objectName: name, contentType: 'application/x-noise', cacheControl: '60' },
        chunkSize: PIECE,
        onChunkComplete: (_, done) => progress(done),
        onError: reject,
        onSuccess: () => resolve(upload.url),
        ...options,
      })
      upload.start()
    })
  }

  async function stored(name) {
    const { data, error } = await service.storage.from('files').download(name)
    assert.equal(error, null)
    return Buffer.from(await data.arrayBuffer())
  }

  it('uploads a file in pieces', async () => {
    const bytes = randomBytes(5 * PIECE + 17)
    const seen = []
    const url = await upload('folder/plain', bytes, { progress: (done) => seen.push(done) })
    assert.ok(url.startsWith(`${program.env.API_URL}/storage/v1/upload/resumable/`), url)
    assert.deepEqual(seen, [1, 2, 3, 4, 5].map((n) => n * PIECE).concat(bytes.length))
    assert.ok(bytes.equals(await stored('folder/plain')))
    const { data } = await service.storage.from('files').info('folder/plain')
    assert.equal(data.contentType, 'application/x-noise')
    assert.equal(data.cacheControl, 'max-age=60')
  })

  it('goes on after the program was killed', async () => {
    const bytes = randomBytes(12 * PIECE)
    let kills = 0
    const seen = []
    await upload('killed', bytes, {
      progress: (done) => {
        seen.push(done)
        if (kills < 2 && done >= (kills + 1) * 3 * PIECE) {
          kills += 1
          program.child.kill('SIGKILL')
          program.ended.then(() => relaunch(program))
        }
      },
    })
    assert.equal(kills, 2)
    assert.deepEqual(seen, [...seen].sort((a, b) => a - b), 'no byte is sent twice that was acknowledged')
    assert.ok(bytes.equals(await stored('killed')))
  })

  it('goes on in another client', async () => {
    const bytes = randomBytes(6 * PIECE)
    const url = await new Promise((resolve, reject) => {
      const first = new tus.Upload(bytes, {
        endpoint: `${program.env.API_URL}/storage/v1/upload/resumable`,
        headers: { authorization: `Bearer ${key}`, 'x-upsert': 'true' },
        metadata: { bucketName: 'files', objectName: 'another' },
        chunkSize: PIECE,
        onChunkComplete: (_, done) => {
          if (done >= 2 * PIECE) first.abort().then(() => resolve(first.url), reject)
        },
        onError: reject,
      })
      first.start()
    })
    const seen = []
    await upload('another', bytes, { uploadUrl: url, progress: (done) => seen.push(done) })
    assert.ok(seen[0] > 2 * PIECE, `${seen[0]}`)
    assert.ok(bytes.equals(await stored('another')))
  })

  it('uploads with a signature and says its length late', async () => {
    const bytes = randomBytes(2 * PIECE + 5)
    const { data } = await service.storage.from('files').createSignedUploadUrl('signed')
    await upload('signed', bytes, { endpoint: '/upload/resumable/sign', headers: { 'x-signature': data.token } })
    assert.ok(bytes.equals(await stored('signed')))
    const { Readable } = await import('node:stream')
    await upload('late', Readable.from([bytes.subarray(0, PIECE), bytes.subarray(PIECE)]), { uploadLengthDeferred: true, uploadDataDuringCreation: false })
    assert.ok(bytes.equals(await stored('late')))
  })

  it('gives up an upload', async () => {
    const bytes = randomBytes(3 * PIECE)
    const upload = new tus.Upload(bytes, {
      endpoint: `${program.env.API_URL}/storage/v1/upload/resumable`,
      headers: { authorization: `Bearer ${key}` },
      metadata: { bucketName: 'files', objectName: 'given up' },
      chunkSize: PIECE,
    })
    await new Promise((resolve, reject) => {
      Object.assign(upload.options, { onChunkComplete: resolve, onError: reject })
      upload.start()
    })
    await upload.abort(true)
    const head = await fetch(upload.url, { method: 'HEAD', headers: { authorization: `Bearer ${key}`, 'tus-resumable': '1.0.0' } })
    assert.equal(head.status, 404)
  })
})
