// Two projects of one shard with the same buckets and the same keys in them. Whatever is asked of one with what belongs
// to the other — tokens, keys, signed URLs, uploads under way — nothing of the other is seen or changed.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateMultipartUploadCommand, DeleteBucketCommand,
  DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, ListBucketsCommand, ListMultipartUploadsCommand, ListObjectsV2Command,
  ListPartsCommand, PutObjectCommand, UploadPartCommand, UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { client, member, token } from '../lib/client.mjs'
import { ask, bodies, bucketWith, inDatabase, png, refusedBy, s3, s3Key, sizeOf } from '../lib/files.mjs'
import { pooled, serve } from '../lib/platform.mjs'
import { cleanUp } from '../lib/program.mjs'
import { ok } from '../lib/tenancies.mjs'

/** Each has another picture under the same name. */
const PICTURES = { one: png(8, 8), two: png(8, 16), three: png(8, 24) }
const TUS = { 'tus-resumable': '1.0.0' }

describe('two projects of a shard', () => {
  let program, one, two

  /** A project with a bucket of each kind, objects of a user's and of the service's, URLs and uploads under way. */
  async function furnish(name) {
    const app = await pooled(program, name, null)
    const scene = { program, app, isPooled: true }
    for (const [bucket, settings] of [
      ['own', {}], ['shared', { access: 'project' }], ['read', { access: 'public_read' }], ['open', { public: true }], ['folder', { access: 'folder' }],
    ]) await bucketWith(app, bucket, settings)
    const person = await member(app)
    const [service, user] = [client(app, app.serviceKey).storage, person.supabase.storage]
    for (const bucket of ['own', 'shared', 'read']) ok(await user.from(bucket).upload('same', `${name} of user`, { contentType: 'text/plain' }))
    ok(await user.from('folder').upload(`${person.user.id}/same`, `${name} in folder`, { contentType: 'text/plain' }))
    ok(await service.from('open').upload('same', `${name} in the open`, { contentType: 'text/plain' }))
    ok(await service.from('open').upload('p.png', PICTURES[name], { contentType: 'image/png' }))
    ok(await service.from('own').upload(`only ${name}`, `only ${name}`, { contentType: 'text/plain' }))
    const keys = s3(app, await s3Key(scene))
    const session = s3(app, { accessKeyId: app.ref, secretAccessKey: app.anonKey, sessionToken: person.session.access_token })
    const multipart = (await keys.send(new CreateMultipartUploadCommand({ Bucket: 'own', Key: 'parts' }))).UploadId
    const part = await keys.send(new UploadPartCommand({ Bucket: 'own', Key: 'parts', UploadId: multipart, PartNumber: 1, Body: `${name} part` }))
    const begin = async (key) => {
      const metadata = `bucketName ${btoa('own')},objectName ${btoa(key)}`
      const headers = { ...TUS, 'upload-length': '100', 'upload-metadata': metadata, 'content-type': 'application/offset+octet-stream' }
      const begun = await ask(app, 'POST', '/upload/resumable', { bearer: app.serviceKey, headers, body: Buffer.alloc(40, name) })
      assert.equal(begun.status, 201, begun.text)
      return begun.headers.get('location').split('/').pop()
    }
    return {
      ...scene, name, person, service, user, keys, session, multipart, etag: part.ETag,
      growing: await begin('growing'), doomed: await begin('doomed'),
      reading: ok(await service.from('own').createSignedUrl(`only ${name}`, 600)).signedUrl,
      picture: ok(await service.from('open').createSignedUrl('p.png', 600, { transform: { width: 4 } })).signedUrl,
      writing: ok(await service.from('own').createSignedUploadUrl('same', { upsert: true })).token,
    }
  }

  /** Everything that a project has, as the database and the disk say. */
  async function all({ app }) {
    const rows = await inDatabase({ program, isPooled: true }, `
      select 'b', id, public::text, access, '' from storage.buckets where app_id = ${app.appId}
      union all select 'o', bucket_id || '/' || name, owner_id, version, metadata::text from storage.objects where app_id = ${app.appId}
      union all select 'r', bucket_id || '/' || key, version::text, upload_metadata, '' from storage.resumable_uploads where app_id = ${app.appId}
      union all select 'm', id, key, version, '' from storage.s3_multipart_uploads where app_id = ${app.appId}
      union all select 'p', upload_id, part_number::text, etag, '' from storage.s3_multipart_uploads_parts where app_id = ${app.appId}
      order by 1, 2, 3`)
    return { rows, files: bodies(program).filter((name) => name.includes(`/${app.ref}/`)).sort() }
  }

  before(async () => {
    program = await serve()
    ;[one, two] = [await furnish('one'), await furnish('two')]
  })
  after(() => cleanUp(program))

  it('have each their own under the same names', async () => {
    for (const at of [one, two]) {
      for (const [bucket, text] of [['own', 'of user'], ['shared', 'of user'], ['read', 'of user']]) {
        assert.equal(await ok(await at.user.from(bucket).download('same')).text(), `${at.name} ${text}`)
      }
      assert.equal((await ask(at.app, 'GET', '/object/public/open/same')).text, `${at.name} in the open`)
      for (const url of ['/render/image/public/open/p.png?width=4', at.picture]) {
        assert.deepEqual(sizeOf((await ask(at.app, 'GET', url)).bytes), at === one ? [4, 4] : [4, 8], url)
      }
      assert.deepEqual(ok(await at.service.from('own').list()).map(({ name }) => name), [`only ${at.name}`, 'same'])
      assert.deepEqual(ok(await at.service.listBuckets()).length, 5)
      const listed = await at.keys.send(new ListObjectsV2Command({ Bucket: 'own' }))
      assert.deepEqual(listed.Contents.map(({ Key }) => Key), [`only ${at.name}`, 'same'])
    }
    assert.notEqual(one.app.jwtSecret, two.app.jwtSecret)
  })

  /** Requests of every kind about what `theirs` has, in an order in which its service key may do them all. */
  const requests = (theirs) => {
    const only = encodeURIComponent(`only ${theirs.name}`)
    const source = { bucketId: 'own', sourceKey: `only ${theirs.name}` }
    const upsert = { headers: { 'x-upsert': 'true' } }
    const appends = { ...TUS, 'upload-offset': '40', 'content-type': 'application/offset+octet-stream' }
    const begins = { ...TUS, 'upload-length': '3', 'upload-metadata': `bucketName ${btoa('own')},objectName ${btoa('intruder by tus')}` }
    return [
      ['GET', '/bucket'], ['GET', '/bucket/own'], ['POST', '/bucket', { json: { name: 'new' } }],
      ['PUT', '/bucket/own', { json: { file_size_limit: 1000 } }], ['DELETE', '/bucket/new'],
      ['GET', `/object/own/${only}`], ['HEAD', `/object/own/${only}`], ['GET', `/object/authenticated/own/${only}`],
      ['HEAD', `/object/authenticated/own/${only}`], ['GET', `/object/info/own/${only}`], ['GET', `/object/info/authenticated/own/${only}`],
      ['POST', '/object/list/own', { json: { prefix: '' } }], ['POST', '/object/list-v2/own', { json: { prefix: '' } }],
      ['POST', `/object/sign/own/${only}`, { json: { expiresIn: 60 } }],
      ['POST', '/object/sign/own', { json: { expiresIn: 60, paths: [`only ${theirs.name}`] } }],
      ['POST', `/object/upload/sign/own/${only}`, upsert], ['GET', '/render/image/authenticated/open/p.png?width=4'],
      ['POST', '/object/own/intruder', { body: 'x' }], ['POST', '/object/shared/same', { body: 'x', ...upsert }],
      ['PUT', '/object/shared/same', { body: 'x' }], ['PUT', `/object/own/${only}`, { body: 'x' }],
      ['POST', '/object/copy', { json: { ...source, destinationKey: 'stolen' } }],
      ['POST', '/object/copy', { json: { ...source, destinationBucket: 'open', destinationKey: 'stolen' } }],
      ['POST', '/object/move', { json: { ...source, destinationKey: 'moved' } }],
      ['POST', '/object/move', { json: { ...source, sourceKey: 'moved', destinationKey: source.sourceKey } }],
      ['HEAD', `/upload/resumable/${theirs.growing}`, { headers: TUS }], ['DELETE', `/upload/resumable/${theirs.doomed}`, { headers: TUS }],
      ['PATCH', `/upload/resumable/${theirs.growing}`, { body: Buffer.alloc(60), headers: appends }],
      ['POST', '/upload/resumable', { headers: begins }],
      ['DELETE', `/object/own/${only}`], ['DELETE', '/object/own', { json: { prefixes: [`only ${theirs.name}`] } }], ['POST', '/bucket/shared/empty'],
    ]
  }

  it('would be let do all of that at home', async () => {
    const three = await furnish('three')
    for (const [method, route, options = {}] of requests(three)) {
      const answer = await ask(three.app, method, route, { ...options, bearer: three.app.serviceKey })
      assert.ok(answer.status < 300, `${method} ${route}: ${answer.status} ${answer.text}`)
    }
  })

  it("take no token and no key of each other's", async () => {
    for (const [mine, theirs] of [[one, two], [two, one]]) {
      const before = [await all(one), await all(two)]
      const forged = token({ role: 'service_role', ref: theirs.app.ref, exp: Math.floor(Date.now() / 1000) + 600 }, mine.app.jwtSecret)
      const bearers = [mine.app.serviceKey, mine.app.anonKey, mine.person.session.access_token, forged]
      for (const [method, route, options = {}] of requests(theirs)) {
        for (const bearer of bearers) {
          // In the header that names the caller, and beside the right key of the project.
          for (const key of [undefined, theirs.app.anonKey]) {
            const answer = await ask(theirs.app, method, route, { ...options, bearer, key })
            assert.ok([400, 401, 403].includes(answer.status), `${method} ${route}: ${answer.status} ${answer.text}`)
          }
        }
        for (const key of [mine.app.secretKey, mine.app.publishableKey]) {
          const answer = await ask(theirs.app, method, route, { ...options, key })
          assert.ok([400, 401, 403].includes(answer.status), `${method} ${route} by key: ${answer.status} ${answer.text}`)
        }
      }
      assert.deepEqual([await all(one), await all(two)], before)
    }
  })

  it("make no role of the shard's with a secret that is theirs", async () => {
    // A project's owner has its secret and may sign what they like.
    const before = await all(two)
    const roles = ['supabase_storage_admin', 'supabase_admin', 'supabase_auth_admin', 'authenticator', 'postgres', 'dashboard_user', `app_${two.app.appId}`, 'none', '']
    for (const role of roles) {
      for (const more of [{}, { app_id: two.app.appId, 'rowhouse.app_id': `${two.app.appId}`, sub: two.person.user.id }]) {
        const bearer = token({ role, exp: Math.floor(Date.now() / 1000) + 600, ...more }, one.app.jwtSecret)
        const list = await ask(one.app, 'POST', '/object/list/own', { bearer, json: { prefix: '' } })
        assert.ok(!list.text.includes('only'), `${role}: ${list.text}`)
        const buckets = await ask(one.app, 'GET', '/bucket', { bearer })
        assert.ok(buckets.status >= 400 || buckets.text === '[]', `${role}: ${buckets.text}`)
        for (const [method, route, options = {}] of requests(two).filter(([method]) => method === 'DELETE')) {
          const answer = await ask(one.app, method, route, { ...options, bearer })
          assert.ok(answer.status >= 400 || answer.text === '[]', `${role}: ${method} ${route}: ${answer.text}`)
        }
      }
    }
    assert.deepEqual(await all(two), before)
  })

  it('find nothing of each other with keys of their own', async () => {
    for (const [mine, theirs] of [[one, two], [two, one]]) {
      const before = await all(theirs)
      const only = `only ${theirs.name}`
      // What only the other has; putting a file of that name, or getting leave to, is anybody's right at home.
      const named = requests(theirs).filter(([method, route, options]) => {
        const text = `${decodeURIComponent(route)} ${JSON.stringify(options)}`
        const isOwnRight = method === 'PUT' || route.includes('/upload/sign/') || text.includes('"moved","')
        return [only, theirs.growing, theirs.doomed].some((word) => text.includes(word)) && !isOwnRight
      })
      assert.ok(named.length >= 16, `${named.length}`)
      for (const bearer of [mine.app.serviceKey, mine.person.session.access_token]) {
        for (const [method, route, options = {}] of named) {
          const answer = await ask(mine.app, method, route, { ...options, bearer })
          const isNothing = answer.status >= 400 || answer.text === '[]' || answer.body?.[0]?.error
          assert.ok(isNothing, `${method} ${route}: ${answer.status} ${answer.text}`)
        }
      }
      assert.deepEqual(await all(theirs), before)
      for (const listed of [await mine.service.from('own').list(), await mine.service.from('own').listV2({ prefix: '' })]) {
        assert.ok(!JSON.stringify(ok(listed)).includes(only))
      }
    }
  })

  it("do not take each other's signed URLs", async () => {
    for (const [mine, theirs] of [[one, two], [two, one]]) {
      const before = await all(theirs)
      for (const url of [mine.reading, mine.picture]) {
        assert.equal((await ask(mine.app, 'GET', url)).status, 200)
        const elsewhere = url.replace(mine.app.ref, theirs.app.ref).replace(`only%20${mine.name}`, `only%20${theirs.name}`)
        assert.notEqual(elsewhere, url)
        assert.equal((await ask(theirs.app, 'GET', elsewhere)).body.error, 'InvalidJWT', elsewhere)
        const there = url.replace(mine.app.ref, theirs.app.ref)
        assert.equal((await ask(theirs.app, 'GET', there)).body.error, 'InvalidJWT', there)
      }
      const put = await ask(theirs.app, 'PUT', `/object/upload/sign/own/same?token=${mine.writing}`, { body: 'x' })
      assert.equal(put.body.error, 'InvalidJWT')
      const begun = await ask(theirs.app, 'POST', '/upload/resumable/sign', { headers: { ...TUS, 'x-signature': mine.writing, 'upload-length': '3', 'upload-metadata': `bucketName ${btoa('own')},objectName ${btoa('same')}` } })
      assert.ok([400, 403].includes(begun.status), `${begun.status} ${begun.text}`)
      assert.deepEqual(await all(theirs), before)
      // A token that a project's user may make for itself signs no URL.
      const home = token({ url: 'own/same', scope: 'download', iat: 0, exp: 4_000_000_000 }, theirs.app.anonKey)
      assert.equal((await ask(theirs.app, 'GET', `/object/sign/own/same?token=${home}`)).status, 400)
    }
  })

  it('keep the S3 protocol apart', async () => {
    for (const [mine, theirs] of [[one, two], [two, one]]) {
      const before = await all(theirs)
      const Bucket = 'own'
      const Key = `only ${theirs.name}`
      const UploadId = theirs.multipart
      const commands = () => [
        new GetObjectCommand({ Bucket, Key }), new HeadObjectCommand({ Bucket, Key }),
        new CopyObjectCommand({ Bucket, Key: 'stolen', CopySource: encodeURI(`own/${Key}`) }),
        new ListPartsCommand({ Bucket, Key: 'parts', UploadId }), new UploadPartCommand({ Bucket, Key: 'parts', UploadId, PartNumber: 2, Body: 'x' }),
        new UploadPartCopyCommand({ Bucket, Key: 'parts', UploadId, PartNumber: 3, CopySource: 'own/same' }),
        new CompleteMultipartUploadCommand({ Bucket, Key: 'parts', UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag: theirs.etag }] } }),
        new AbortMultipartUploadCommand({ Bucket, Key: 'parts', UploadId }),
      ]
      // One's own keys at one's own project: the other's things are not there.
      for (const actor of [mine.keys, mine.session]) {
        for (const command of commands()) {
          const refused = await refusedBy(actor.send(command))
          assert.match(refused ?? 'taken', /^(404|403) /, `${command.constructor.name}: ${refused}`)
        }
        const uploads = await actor.send(new ListMultipartUploadsCommand({ Bucket })).catch(() => ({}))
        assert.ok(!uploads.Uploads?.some((upload) => upload.UploadId === UploadId))
      }
      // One's own keys and sessions at the other's address.
      const foreign = async (credentials) => {
        const actor = s3(theirs.app, credentials)
        const Delete = { Objects: [{ Key }, { Key: 'same' }] }
        const more = [
          new ListBucketsCommand({}), new ListObjectsV2Command({ Bucket }), new PutObjectCommand({ Bucket, Key: 'same', Body: 'x' }),
          new DeleteObjectsCommand({ Bucket, Delete }), new DeleteBucketCommand({ Bucket: 'folder' }), new CreateMultipartUploadCommand({ Bucket, Key }),
        ]
        for (const command of [...commands(), ...more]) {
          const refused = await refusedBy(actor.send(command))
          assert.match(refused ?? 'taken', /^(403|401|400) /, `${command.constructor.name}: ${refused}`)
        }
      }
      await foreign(await mine.keys.config.credentials())
      const sessionToken = mine.person.session.access_token
      for (const accessKeyId of [mine.app.ref, theirs.app.ref]) {
        for (const secretAccessKey of [mine.app.anonKey, theirs.app.anonKey]) await foreign({ accessKeyId, secretAccessKey, sessionToken })
      }
      assert.deepEqual(await all(theirs), before)
    }
  })

  it('count, empty and delete only what is theirs', async () => {
    const before = await all(two)
    for (const bucket of ['own', 'shared', 'read', 'open', 'folder']) ok(await one.service.emptyBucket(bucket))
    await one.keys.send(new AbortMultipartUploadCommand({ Bucket: 'own', Key: 'parts', UploadId: one.multipart }))
    for (const upload of [one.growing, one.doomed]) {
      const gone = await ask(one.app, 'DELETE', `/upload/resumable/${upload}`, { bearer: one.app.serviceKey, headers: TUS })
      assert.equal(gone.status, 204)
    }
    for (const bucket of ['own', 'shared', 'read', 'open', 'folder']) ok(await one.service.deleteBucket(bucket))
    assert.deepEqual(await all(one), { rows: '', files: [] })
    assert.deepEqual(await all(two), before)
    // And names that the other has are free.
    await bucketWith(one.app, 'own')
    ok(await one.user.from('own').upload('same', randomBytes(10)))
    assert.deepEqual(await all(two), before)
  })
})
