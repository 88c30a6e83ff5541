// Resumable uploads by tus-js-client and the S3 protocol by the AWS SDK, in a database of its own and in a shard.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { before, it } from 'node:test'
import * as tus from 'tus-js-client'
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand,
  DeleteBucketCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, HeadBucketCommand, HeadObjectCommand, ListBucketsCommand,
  ListMultipartUploadsCommand, ListObjectsV2Command, ListPartsCommand, PutObjectCommand, UploadPartCommand, UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { client, member } from '../lib/client.mjs'
import { ask, bodies, hash, inDatabase, reachableBucket, refusedBy, restart, s3, s3Key } from '../lib/files.mjs'
import { command } from '../lib/program.mjs'
import { inBothTenancies, ok } from '../lib/tenancies.mjs'

const PIECE = 256 * 1024

inBothTenancies('resumable uploads by tus-js-client', () => '', (scene) => {
  let alice, bob, service

  before(async () => {
    await reachableBucket(scene, 'files', 'folder')
    ;[alice, bob] = [await member(scene.app, 'alice'), await member(scene.app, 'bob')]
    service = client(scene.app, scene.app.serviceKey).storage.from('files')
  })

  /** An upload with what a browser sends; `on` is told of pieces that the server has. */
  function begin(name, bytes, { by = alice, on = () => {}, headers, ...options } = {}) {
    let upload
    const done = new Promise((resolve, reject) => {
      upload = new tus.Upload(bytes, {
        endpoint: `${scene.app.url}/storage/v1/upload/resumable`,
        headers: { authorization: `Bearer ${by?.session.access_token}`, 'x-upsert': 'false', ...headers },
        retryDelays: null,
        uploadDataDuringCreation: true,
        metadata: { bucketName: 'files', objectName: name, contentType: 'application/x-noise', cacheControl: '60', metadata: '{"kind":"noise"}' },
        chunkSize: PIECE,
        onChunkComplete: (_, sent) => on(sent, upload),
        onError: reject,
        onSuccess: () => resolve(upload),
        ...options,
      })
    })
    upload.start()
    return done
  }

  const read = async (name) => Buffer.from(await ok(await service.download(name)).arrayBuffer())
  const status = (promise) => promise.then(() => 'done', (error) => error.originalResponse?.getStatus() ?? error.message)

  /** Sends so many pieces and stops: an upload that can be resumed. */
  const pause = (name, bytes, pieces) => new Promise((resolve, reject) => {
    begin(name, bytes, { on: (sent, upload) => sent >= pieces * PIECE && upload.abort().then(() => resolve(upload), reject) }).catch(reject)
  })

  it('pause, outlive a restart and go on as their owner', async () => {
    const name = `${alice.user.id}/movie`
    const bytes = randomBytes(6 * PIECE + 11)
    const paused = await pause(name, bytes, 2)
    assert.ok(paused.url.startsWith(`${scene.app.url}/storage/v1/upload/resumable/`), paused.url)
    assert.equal((await service.exists(name)).data, false, 'nothing to be seen before it is whole')
    await restart(scene.program, 'SIGKILL')
    assert.equal(await status(begin(name, bytes, { by: bob, uploadUrl: paused.url })), 403)
    const seen = []
    await begin(name, bytes, { uploadUrl: paused.url, on: (sent) => seen.push(sent) })
    assert.ok(seen[0] >= 2 * PIECE, `${seen}`)
    assert.equal(hash(await read(name)), hash(bytes))
    const info = ok(await service.info(name))
    assert.deepEqual([info.contentType, info.cacheControl, info.size, info.metadata], ['application/x-noise', 'max-age=60', bytes.length, { kind: 'noise' }])
    assert.equal(await inDatabase(scene, `select owner_id from storage.objects where name = '${name}'`), alice.user.id)
  })

  it('ask who may write there, whatever leave the client claims', async () => {
    const name = `${alice.user.id}/mine`
    const bytes = randomBytes(3 * PIECE)
    const upsert = { 'x-upsert': 'true' }
    await begin(name, bytes)
    assert.equal(await status(begin(name, bytes, { by: null, headers: { authorization: `Bearer ${scene.app.anonKey}` } })), 403)
    assert.equal(await status(begin(name, randomBytes(10), { by: bob, headers: upsert })), 403)
    assert.equal(await status(begin(`${alice.user.id}/new`, randomBytes(10), { by: bob })), 403)
    assert.equal(await status(begin(name, randomBytes(10))), 409, 'not overwritten without asking for it')
    assert.equal(hash(await read(name)), hash(bytes))
    const other = randomBytes(3 * PIECE)
    await begin(name, other, { headers: upsert })
    assert.equal(hash(await read(name)), hash(other))
    const large = { 'tus-resumable': '1.0.0', 'upload-length': `${60 << 20}`, 'upload-metadata': `bucketName ${btoa('files')},objectName ${btoa(`${name} more`)}` }
    assert.equal((await ask(scene.app, 'POST', '/upload/resumable', { bearer: alice.session.access_token, headers: large })).status, 413)
  })

  it('are given up without a trace', async () => {
    const name = `${alice.user.id}/given up`
    const before = bodies(scene.program).length
    const paused = await pause(name, randomBytes(3 * PIECE), 1)
    assert.equal(bodies(scene.program).length, before + 1)
    const remove = (by) => tus.Upload.terminate(paused.url, { headers: { authorization: `Bearer ${by.session.access_token}` }, retryDelays: null })
    assert.equal(await status(remove(bob)), 403)
    assert.equal(bodies(scene.program).length, before + 1)
    await remove(alice)
    assert.equal(bodies(scene.program).length, before)
    assert.equal(await inDatabase(scene, `select count(*) from storage.resumable_uploads where key = '${name}'`), '0')
    assert.equal((await service.exists(name)).data, false)
  })

  it('are let in by a signed URL, once', async () => {
    const { token } = ok(await service.createSignedUploadUrl('signed'))
    const bytes = randomBytes(PIECE + 5)
    const options = { by: null, endpoint: `${scene.app.url}/storage/v1/upload/resumable/sign`, headers: { authorization: `Bearer ${scene.app.anonKey}`, 'x-signature': token } }
    await begin('signed', bytes, options)
    assert.equal(hash(await read('signed')), hash(bytes))
    assert.equal(await status(begin('signed', bytes, options)), 409)
    assert.equal(await status(begin('unsigned', bytes, options)), 400)
  })
})

inBothTenancies('S3 by the AWS SDK', () => '', (scene) => {
  let all, alice, bob
  const Bucket = 'files'
  const session = ({ session }) => s3(scene.app, {
    accessKeyId: scene.isPooled ? scene.app.ref : 'rowhouselocalproject', secretAccessKey: scene.app.anonKey, sessionToken: session.access_token,
  })
  const read = async (answer) => Buffer.from(await answer.Body.transformToByteArray())

  before(async () => {
    await reachableBucket(scene, Bucket, 'owner')
    all = s3(scene.app, await s3Key(scene))
    ;[alice, bob] = [session(await member(scene.app)), session(await member(scene.app))]
  })

  it('buckets and objects are the same as those of the other protocol', async () => {
    await all.send(new CreateBucketCommand({ Bucket: 'made-by-s3' }))
    assert.deepEqual((await all.send(new ListBucketsCommand({}))).Buckets.map(({ Name }) => Name).sort(), ['files', 'made-by-s3'])
    await all.send(new HeadBucketCommand({ Bucket: 'made-by-s3' }))
    const bytes = randomBytes(300_000)
    const put = await all.send(new PutObjectCommand({ Bucket, Key: 'dir/a b.bin', Body: bytes, ContentType: 'application/x-noise', CacheControl: 'max-age=7', Metadata: { kind: 'noise' } }))
    assert.equal(put.ETag, `"${hash(bytes)}"`)
    const service = client(scene.app, scene.app.serviceKey).storage.from(Bucket)
    const info = ok(await service.info('dir/a b.bin'))
    assert.deepEqual([info.size, info.contentType, info.cacheControl, info.metadata], [300_000, 'application/x-noise', 'max-age=7', { kind: 'noise' }])
    const got = await all.send(new GetObjectCommand({ Bucket, Key: 'dir/a b.bin', Range: 'bytes=100-199' }))
    assert.deepEqual([got.ContentRange, got.Metadata], ['bytes 100-199/300000', { kind: 'noise' }])
    assert.ok((await read(got)).equals(bytes.subarray(100, 200)))
    assert.equal((await all.send(new HeadObjectCommand({ Bucket, Key: 'dir/a b.bin' }))).ContentLength, 300_000)
    assert.equal(await refusedBy(all.send(new GetObjectCommand({ Bucket, Key: 'dir/a b.bin', IfMatch: '"other"' }))), '412 PreconditionFailed')
    assert.equal(await refusedBy(all.send(new PutObjectCommand({ Bucket, Key: 'dir/a b.bin', Body: 'x', IfNoneMatch: '*' }))), '412 PreconditionFailed')
    assert.equal(await refusedBy(all.send(new GetObjectCommand({ Bucket, Key: 'none' }))), '404 NoSuchKey')

    await all.send(new CopyObjectCommand({ Bucket: 'made-by-s3', Key: 'copy', CopySource: encodeURI('files/dir/a b.bin') }))
    assert.equal(hash(await read(await all.send(new GetObjectCommand({ Bucket: 'made-by-s3', Key: 'copy' })))), hash(bytes))
    ok(await service.upload('by rest', 'by rest'))
    const listed = await all.send(new ListObjectsV2Command({ Bucket, Delimiter: '/' }))
    assert.deepEqual([listed.Contents.map(({ Key }) => Key), listed.CommonPrefixes.map(({ Prefix }) => Prefix)], [['by rest'], ['dir/']])
    const pages = []
    let token
    do {
      const page = await all.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1, ContinuationToken: token }))
      pages.push(...page.Contents.map(({ Key }) => Key))
      token = page.NextContinuationToken
    } while (token)
    assert.deepEqual(pages, ['by rest', 'dir/a b.bin'])

    assert.equal(await refusedBy(all.send(new DeleteBucketCommand({ Bucket: 'made-by-s3' }))), '409 BucketNotEmpty')
    await all.send(new DeleteObjectCommand({ Bucket: 'made-by-s3', Key: 'copy' }))
    await all.send(new DeleteBucketCommand({ Bucket: 'made-by-s3' }))
    const many = await all.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'by rest' }, { Key: 'dir/a b.bin' }, { Key: 'none' }] } }))
    assert.equal(many.Errors, undefined)
    assert.equal((await all.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0)
    assert.deepEqual(bodies(scene.program), [])
  })

  it('uploads in parts go on after a restart, and leave nothing when they are aborted', async () => {
    const Key = 'parts'
    const parts = [randomBytes(5 << 20), randomBytes(5 << 20), randomBytes(100)]
    const source = randomBytes(6 << 20)
    await all.send(new PutObjectCommand({ Bucket, Key: 'source', Body: source }))
    const { UploadId } = await all.send(new CreateMultipartUploadCommand({ Bucket, Key, ContentType: 'text/x-parts' }))
    const put = (number) => all.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: number, Body: parts[number - 1] }))
    const etags = [(await put(1)).ETag]
    await restart(scene.program, 'SIGKILL')
    const known = await all.send(new ListPartsCommand({ Bucket, Key, UploadId }))
    assert.deepEqual(known.Parts.map(({ PartNumber, Size, ETag }) => [PartNumber, Size, ETag]), [[1, 5 << 20, etags[0]]])
    etags.push((await all.send(new UploadPartCopyCommand({ Bucket, Key, UploadId, PartNumber: 2, CopySource: 'files/source', CopySourceRange: `bytes=0-${(5 << 20) - 1}` }))).CopyPartResult.ETag)
    etags.push((await put(3)).ETag)
    const MultipartUpload = { Parts: etags.map((ETag, at) => ({ ETag, PartNumber: at + 1 })) }
    const wrong = { Parts: [{ PartNumber: 1, ETag: etags[2] }] }
    assert.equal(await refusedBy(all.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: wrong }))), '400 InvalidPart')
    await all.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }))
    const whole = await all.send(new GetObjectCommand({ Bucket, Key }))
    assert.equal(whole.ContentType, 'text/x-parts')
    assert.equal(hash(await read(whole)), hash(Buffer.concat([parts[0], source.subarray(0, 5 << 20), parts[2]])))

    const before = bodies(scene.program).length
    const other = await all.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    await all.send(new UploadPartCommand({ Bucket, Key, UploadId: other.UploadId, PartNumber: 1, Body: 'x' }))
    const uploads = await all.send(new ListMultipartUploadsCommand({ Bucket }))
    assert.deepEqual(uploads.Uploads.map((upload) => upload.UploadId), [other.UploadId])
    await all.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId: other.UploadId }))
    assert.equal(bodies(scene.program).length, before)
    assert.equal(await inDatabase(scene, 'select count(*) from storage.s3_multipart_uploads'), '0')
  })

  it('sessions speak for their users', async () => {
    await alice.send(new PutObjectCommand({ Bucket, Key: 'of alice', Body: 'mine' }))
    assert.equal((await read(await alice.send(new GetObjectCommand({ Bucket, Key: 'of alice' })))).toString(), 'mine')
    assert.equal(await refusedBy(bob.send(new GetObjectCommand({ Bucket, Key: 'of alice' }))), '404 NoSuchKey')
    assert.equal(await refusedBy(bob.send(new HeadObjectCommand({ Bucket, Key: 'of alice' }))), '404 NotFound')
    assert.match(await refusedBy(bob.send(new PutObjectCommand({ Bucket, Key: 'of alice', Body: 'his' }))), /^403 AccessDenied/)
    assert.match(await refusedBy(bob.send(new CopyObjectCommand({ Bucket, Key: 'stolen', CopySource: 'files/of%20alice' }))), /^404 /)
    const listed = await bob.send(new ListObjectsV2Command({ Bucket }))
    assert.deepEqual(listed.Contents?.map(({ Key }) => Key) ?? [], [])
    await bob.send(new DeleteObjectCommand({ Bucket, Key: 'of alice' })).catch(() => {})
    assert.equal((await read(await alice.send(new GetObjectCommand({ Bucket, Key: 'of alice' })))).toString(), 'mine')
    assert.match(await refusedBy(alice.send(new CreateBucketCommand({ Bucket: 'of-alice' }))), /^403 AccessDenied/)
    assert.match(await refusedBy(alice.send(new DeleteBucketCommand({ Bucket }))), /^(403|404|409) /)
  })

  it('wrong secrets, tokens and revoked keys are refused', async () => {
    const good = await all.config.credentials()
    const wrong = async (credentials) => refusedBy(s3(scene.app, { ...good, ...credentials }).send(new ListBucketsCommand({})))
    assert.equal(await wrong({ secretAccessKey: 'x'.repeat(64) }), '403 SignatureDoesNotMatch')
    assert.equal(await wrong({ accessKeyId: 'f'.repeat(32) }), '403 AccessDenied')
    assert.match(await wrong({ accessKeyId: scene.isPooled ? scene.app.ref : 'rowhouselocalproject', secretAccessKey: scene.app.anonKey, sessionToken: 'a.b.c' }), /^40[013] /)
    const anonymous = await ask(scene.app, 'GET', '/s3/files/of%20alice')
    assert.equal(anonymous.status, 403)
    if (!scene.isPooled) return
    const key = await s3Key(scene, '--role', 'authenticated', '--user', '00000000-0000-4000-8000-000000000001')
    const limited = s3(scene.app, key)
    await limited.send(new PutObjectCommand({ Bucket, Key: 'by key', Body: 'x' }))
    assert.equal(await refusedBy(limited.send(new GetObjectCommand({ Bucket, Key: 'of alice' }))), '404 NoSuchKey')
    await command(['projects', 's3-keys', 'revoke', scene.app.ref, key.accessKeyId, '--data', scene.program.data])
    assert.equal(await refusedBy(limited.send(new GetObjectCommand({ Bucket, Key: 'by key' }))), '403 AccessDenied')
  })
})
