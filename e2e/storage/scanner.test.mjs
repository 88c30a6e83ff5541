// A scanner that finds a file infected: whatever way the file came, it is refused, and nothing of it stays or was ever
// to be seen. The file is EICAR's test file, which every scanner takes for a virus and which is none.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, it } from 'node:test'
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, ListMultipartUploadsCommand, PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import * as tus from 'tus-js-client'
import { postPolicy } from '../conform/storage/s3.mjs'
import { client } from '../lib/client.mjs'
import { ask, bodies, bucketWith, inDatabase, refusedBy, s3, s3Key } from '../lib/files.mjs'
import { inBothTenancies, Listener, ok } from '../lib/tenancies.mjs'

// In two halves, lest a scanner that watches this folder takes the test away.
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-', 'STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('')
const TOKEN = 'the-scanners-token'
const text = { contentType: 'text/plain' }

let scanner
before(async () => {
  scanner = await Listener.listen(({ body, headers }) => {
    if (headers.authorization !== `Bearer ${TOKEN}`) return { status: 401, json: {} }
    return { json: body.includes(EICAR) ? { infected: true, signature: 'Eicar-Test' } : { infected: false } }
  })
})
after(() => scanner.close())

const extra = () => ['--scanner', `${scanner.url}/scan`, '--scanner-token', TOKEN]

inBothTenancies('a scanner', () => '', (scene) => {
  let files, keys, credentials

  before(async () => {
    await bucketWith(scene.app, 'files')
    files = client(scene.app, scene.app.serviceKey).storage.from('files')
    credentials = await s3Key(scene)
    keys = s3(scene.app, credentials)
  })

  const at = (Key) => ({ Bucket: 'files', Key })

  /** Every way in: answers how it was refused, or nothing. */
  const ways = {
    async post(name, bytes) {
      const { error } = await files.upload(name, bytes, { ...text, upsert: true })
      return error && `${error.status} ${error.message}`
    },
    async put(name, bytes) {
      const answer = await ask(scene.app, 'PUT', `/object/files/${name}`, { bearer: scene.app.serviceKey, body: bytes, headers: { 'content-type': 'text/plain' } })
      return answer.status === 200 ? null : `${answer.status} ${answer.body.error} ${answer.body.message}`
    },
    async form(name, bytes) {
      const form = new FormData()
      form.append('', new Blob([bytes], { type: 'text/plain' }), 'f')
      const answer = await ask(scene.app, 'POST', `/object/files/${name}`, { bearer: scene.app.serviceKey, body: form, headers: { 'x-upsert': 'true' } })
      return answer.status === 200 ? null : `${answer.status} ${answer.body.error} ${answer.body.message}`
    },
    async signed(name, bytes) {
      const { token } = ok(await files.createSignedUploadUrl(name, { upsert: true }))
      const { error } = await client(scene.app).storage.from('files').uploadToSignedUrl(name, token, bytes, text)
      return error && `${error.status} ${error.message}`
    },
    tus(name, bytes, options) {
      return new Promise((resolve) => {
        const upload = new tus.Upload(Buffer.from(bytes), {
          endpoint: `${scene.app.url}/storage/v1/upload/resumable`,
          headers: { authorization: `Bearer ${scene.app.serviceKey}`, 'x-upsert': 'true' },
          retryDelays: null,
          uploadDataDuringCreation: true,
          metadata: { bucketName: 'files', objectName: name, contentType: 'text/plain' },
          chunkSize: Math.max(20, Math.floor(bytes.length / 3)),
          onError: (error) => resolve(`${error.originalResponse.getStatus()} ${error.originalResponse.getBody()}`),
          onSuccess: () => resolve(null),
          ...options,
        })
        upload.start()
      })
    },
    s3: (name, bytes) => refusedBy(keys.send(new PutObjectCommand({ ...at(name), Body: bytes }))),
    async parts(name, bytes) {
      const { UploadId } = await keys.send(new CreateMultipartUploadCommand(at(name)))
      const half = Math.max(5 << 20, Math.ceil(bytes.length / 2))
      const sent = []
      for (let PartNumber = 1; (PartNumber - 1) * half < bytes.length; PartNumber += 1) {
        const Body = bytes.slice((PartNumber - 1) * half, PartNumber * half)
        const { ETag } = await keys.send(new UploadPartCommand({ ...at(name), UploadId, PartNumber, Body }))
        sent.push({ ETag, PartNumber })
      }
      return refusedBy(keys.send(new CompleteMultipartUploadCommand({ ...at(name), UploadId, MultipartUpload: { Parts: sent } })))
    },
    async policy(name, bytes) {
      const fields = postPolicy({
        keys: { id: credentials.accessKeyId, secret: credentials.secretAccessKey },
        conditions: [{ bucket: 'files' }, { key: name }], fields: { key: name },
      })
      const form = new FormData()
      for (const [field, value] of Object.entries(fields)) form.append(field, value)
      form.append('file', new Blob([bytes]), 'f')
      const answer = await ask(scene.app, 'POST', '/s3/files', { body: form })
      return answer.status < 300 ? null : `${answer.status} ${answer.text}`
    },
  }

  const rows = () => inDatabase(scene, `select name, version from storage.objects union all select key, version::text from storage.resumable_uploads
    union all select key, id from storage.s3_multipart_uploads
    union all select key, upload_id from storage.s3_multipart_uploads_parts order by 1, 2`)
  /** Every row and every body that there is. */
  const left = async () => ({ rows: await rows(), bodies: bodies(scene.program).sort() })
  const clean = randomBytes(3000)
  /** The word across the ends of pieces, in a file that is longer than one of them. */
  const large = Buffer.concat([randomBytes(4000), Buffer.from(EICAR), randomBytes(4000)])

  for (const way of Object.keys(ways)) {
    it(`lets a clean file in and an infected one not: ${way}`, async () => {
      assert.equal(await ways[way](`clean ${way}`, clean), null)
      assert.ok(Buffer.from(await ok(await files.download(`clean ${way}`)).arrayBuffer()).equals(clean))
      const before = await left()
      for (const [kind, bytes] of [['small', Buffer.from(EICAR)], ['large', large]]) {
        scanner.asked.length = 0
        const refused = await ways[way](`${kind} ${way}`, bytes)
        assert.match(refused ?? 'taken', /^422 .*(FileInfected|refused by the malware scanner)/s, kind)
        assert.equal(scanner.asked.length, 1, 'asked once')
        assert.ok((await files.download(`${kind} ${way}`)).error, kind)
        assert.ok(!ok(await files.list()).some(({ name }) => name === `${kind} ${way}`))
        // And what was there before stays as it was.
        assert.match(await ways[way](`clean ${way}`, bytes) ?? 'taken', /^422 /)
        assert.ok(Buffer.from(await ok(await files.download(`clean ${way}`)).arrayBuffer()).equals(clean))
      }
      assert.deepEqual(await left(), before)
    })
  }

  it('is not asked again for copies', async () => {
    scanner.asked.length = 0
    ok(await files.copy('clean post', 'copy of it'))
    await keys.send(new CopyObjectCommand({ ...at('another copy'), CopySource: 'files/clean%20post' }))
    assert.equal(scanner.asked.length, 0)
  })

  it('that fails lets nothing in', async () => {
    const { answer } = scanner
    const failures = [() => ({ status: 500, json: {} }), () => ({ text: 'what?' }), () => ({ json: { clean: true } }), () => ({ status: 204, text: '' })]
    // Uploads in pieces wait for it to come back, all others leave nothing.
    const waits = ['tus', 'parts']
    for (const [at, failing] of failures.entries()) {
      scanner.answer = failing
      const before = await left()
      for (const way of Object.keys(ways).filter((way) => at === 0 || !waits.includes(way))) {
        assert.match(await ways[way](`unscanned ${way}`, clean) ?? 'taken', /^503 /, way)
        assert.ok((await files.download(`unscanned ${way}`)).error)
        if (!waits.includes(way)) assert.deepEqual(await left(), before, way)
        else Object.assign(before, await left())
      }
    }
    scanner.answer = answer
    assert.equal(await ways.post('scanned again', clean), null)
    const { Uploads: [{ Key, UploadId }] } = await keys.send(new ListMultipartUploadsCommand({ Bucket: 'files' }))
    await keys.send(new CompleteMultipartUploadCommand({ ...at(Key), UploadId }))
    assert.ok(Buffer.from(await ok(await files.download('unscanned parts')).arrayBuffer()).equals(clean))
  })

  it('that fails for a while loses no file of which the client heard that it is there', async () => {
    const { answer } = scanner
    let failures = 3
    scanner.answer = (asked) => ((failures -= 1) >= 0 ? { status: 500, json: {} } : answer(asked))
    assert.equal(await ways.tus('patient', clean, { retryDelays: [0, 0, 0, 0, 0, 0] }), null)
    assert.equal(failures, -1, 'no byte is sent twice, and the scanner is asked until it answers')
    assert.ok(Buffer.from(await ok(await files.download('patient')).arrayBuffer()).equals(clean))
    scanner.answer = answer
  })
}, { extra })
