// What a project is told of its files: events by HTTP, and what it used.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, DeleteObjectCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { client } from '../lib/client.mjs'
import { ask, bucketWith, hash, inDatabase, restart, s3, s3Key } from '../lib/files.mjs'
import { pooled, projects, serve } from '../lib/platform.mjs'
import { cleanUp, command, until } from '../lib/program.mjs'
import { inBothTenancies, Listener, ok } from '../lib/tenancies.mjs'

const text = { contentType: 'text/plain' }
const settings = (listener) => `[storage.events]\nurl = "${listener.url}/hook"\nkey = "the events' key"\ndisabled = ["ObjectUpdated:Metadata"]\n`
const events = (listener) => listener.asked.map(({ body }) => JSON.parse(body))
const named = (listener) => events(listener).map(({ event }) => `${event.type} ${event.payload.bucketId}/${event.payload.name}`)

/** Once the listener has so many: their names, in no order, each once. */
async function heard(listener, count) {
  await until(`${count} events`, () => listener.asked.length >= count)
  return [...new Set(named(listener))].sort()
}

let listener
before(async () => { listener = await Listener.listen(() => ({ json: {} })) })
after(() => listener.close())

inBothTenancies('events', () => settings(listener), (scene) => {
  let files

  before(async () => {
    for (const name of ['files', 'others']) await bucketWith(scene.app, name)
    files = client(scene.app, scene.app.serviceKey).storage.from('files')
    listener.asked.length = 0
  })

  it('tell of everything that happens to objects, and of nothing else', async () => {
    ok(await files.upload('a', 'first', text))
    ok(await files.upload('a', 'second', { ...text, upsert: true }))
    ok(await files.copy('a', 'b'))
    ok(await files.move('b', 'c', { destinationBucket: 'others' }))
    ok(await files.download('a'))
    assert.ok((await files.upload('a', 'refused', text)).error)
    const { token } = ok(await files.createSignedUploadUrl('signed'))
    ok(await files.uploadToSignedUrl('signed', token, 'x', text))
    const tus = { 'tus-resumable': '1.0.0', 'upload-length': '3', 'upload-metadata': `bucketName ${btoa('files')},objectName ${btoa('tus')}`, 'content-type': 'application/offset+octet-stream' }
    assert.equal((await ask(scene.app, 'POST', '/upload/resumable', { bearer: scene.app.serviceKey, headers: tus, body: 'abc' })).status, 201)
    const keys = s3(scene.app, await s3Key(scene))
    const at = { Bucket: 'files', Key: 's3' }
    await keys.send(new PutObjectCommand({ ...at, Body: 'by s3' }))
    await keys.send(new CopyObjectCommand({ ...at, Key: 's3 copy', CopySource: 'files/s3' }))
    const parts = { ...at, Key: 's3 parts' }
    const { UploadId } = await keys.send(new CreateMultipartUploadCommand(parts))
    const { ETag } = await keys.send(new UploadPartCommand({ ...parts, UploadId, PartNumber: 1, Body: 'part' }))
    await keys.send(new CompleteMultipartUploadCommand({ ...parts, UploadId, MultipartUpload: { Parts: [{ ETag, PartNumber: 1 }] } }))
    await keys.send(new DeleteObjectCommand(at))
    ok(await files.remove(['a', 'none']))
    const expected = [
      'ObjectCreated:Copy files/b', 'ObjectCreated:Copy files/s3 copy', 'ObjectCreated:Move others/c', 'ObjectCreated:Post files/a',
      'ObjectCreated:Post files/s3', 'ObjectCreated:Post files/s3 parts', 'ObjectCreated:Post files/signed', 'ObjectCreated:Post files/tus',
      'ObjectCreated:Put files/a', 'ObjectRemoved:Delete files/a', 'ObjectRemoved:Delete files/s3', 'ObjectRemoved:Move files/b',
    ]
    assert.deepEqual(await heard(listener, expected.length), expected)
    const { method, path, headers } = listener.asked[0]
    assert.deepEqual([method, path, headers.authorization, headers['content-type']], ['POST', '/hook', "Bearer the events' key", 'application/json'])
    const made = events(listener).find(({ event }) => event.type === 'ObjectCreated:Put')
    const { event: { payload }, tenant } = made
    assert.deepEqual([made.type, payload.metadata.size, payload.metadata.eTag, payload.uploadType], ['Webhook', 6, `"${hash('second')}"`, 'standard'])
    assert.equal(tenant.ref, scene.isPooled ? scene.app.ref : 'rowhouselocalproject')
    const kinds = Object.fromEntries(events(listener).map(({ event }) => [event.payload.name, event.payload.uploadType]))
    assert.deepEqual([kinds.tus, kinds['s3 copy'], kinds['s3 parts'], kinds.signed], ['resumable', 's3', 's3', 'standard'])
    await until('all of them are off the list', async () => (await inDatabase(scene, 'select count(*) from storage.event_outbox')) === '0')
  })

  it('wait for a listener that is away, also over a restart', async () => {
    listener.asked.length = 0
    const { answer } = listener
    listener.answer = () => ({ status: 503, json: {} })
    ok(await files.upload('later', 'x', text))
    await until('a try', () => listener.asked.length > 0)
    await restart(scene.program, 'SIGKILL')
    listener.asked.length = 0
    listener.answer = answer
    // The next try is due in a while; who asks for what is due now gets it.
    await inDatabase(scene, `update storage.event_outbox set next_at = now()`)
    ok(await files.upload('another', 'x', text))
    assert.deepEqual(await heard(listener, 2), ['ObjectCreated:Post files/another', 'ObjectCreated:Post files/later'])
  })
})

describe('events of two projects of a shard', () => {
  let program, one, two, other
  before(async () => {
    program = await serve({ extra: ['--outbound-anywhere'] })
    other = await Listener.listen(() => ({ json: {} }))
    ;[one, two] = [await pooled(program, 'one', null), await pooled(program, 'two', null)]
    for (const [app, to] of [[one, listener], [two, other]]) {
      await command(['projects', 'settings', 'set', app.ref, `storage.events.url=${to.url}/`, `storage.events.key=${app.ref}`, '--data', program.data])
      await bucketWith(app, 'files')
    }
    listener.asked.length = 0
  })
  after(async () => {
    await cleanUp(program)
    await other.close()
  })

  it('reach the listener of theirs only', async () => {
    const from = (app) => client(app, app.serviceKey).storage.from('files')
    for (const [app, name] of [[one, 'a'], [two, 'b'], [one, 'c'], [two, 'd']]) ok(await from(app).upload(name, name, text))
    assert.deepEqual(await heard(listener, 2), ['ObjectCreated:Post files/a', 'ObjectCreated:Post files/c'])
    assert.deepEqual(await heard(other, 2), ['ObjectCreated:Post files/b', 'ObjectCreated:Post files/d'])
    for (const [app, to] of [[one, listener], [two, other]]) {
      for (const { headers } of to.asked) assert.equal(headers.authorization, `Bearer ${app.ref}`)
      assert.ok(events(to).every(({ tenant }) => tenant.ref === app.ref))
    }
  })

  it('and what each used is counted for itself', async () => {
    const usage = (app) => projects(program, 'usage', app.ref)
    const before = [await usage(one), await usage(two)]
    const from = client(one, one.serviceKey).storage.from('files')
    ok(await from.upload('large', Buffer.alloc(100_000), text))
    ok(await from.download('large'))
    ok(await from.download('large'))
    const after = [await usage(one), await usage(two)]
    assert.deepEqual(after[1], before[1])
    const grown = (member) => after[0].days[0][member] - before[0].days[0][member]
    assert.deepEqual([after[0].storage_objects, after[0].storage_bytes], [before[0].storage_objects + 1, before[0].storage_bytes + 100_000])
    assert.deepEqual([grown('storage_ingress_bytes'), grown('storage_requests')], [100_000, 3])
    assert.ok(grown('storage_egress_bytes') >= 200_000, `${grown('storage_egress_bytes')}`)
  })
})
