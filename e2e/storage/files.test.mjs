// Buckets and files by the published client: the same in a database of its own and in a shard.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { before, it } from 'node:test'
import { client } from '../lib/client.mjs'
import { ask, bodies, hash, png, sizeOf } from '../lib/files.mjs'
import { inBothTenancies, ok } from '../lib/tenancies.mjs'

inBothTenancies('files by supabase-js', () => '[storage]\nfile_size_limit = "2MiB"\n', (scene) => {
  let service, files
  const bytesOf = async (blob) => Buffer.from(await blob.arrayBuffer())
  const read = async (name, bucket = 'files') => bytesOf(ok(await service.storage.from(bucket).download(name)))
  const put = async (name, body, options) => ok(await files.upload(name, body, { contentType: 'text/plain', ...options }))
  const refusal = ({ data, error }) => {
    assert.equal(data, null)
    return [Number(error.status), error.statusCode, error.message]
  }

  before(async () => {
    service = client(scene.app, scene.app.serviceKey)
    files = service.storage.from('files')
    for (const name of ['files', 'others']) ok(await service.storage.createBucket(name))
  })

  it('buckets are made, shown, changed, listed and deleted', async () => {
    const { storage } = service
    const options = { public: true, fileSizeLimit: '1MB', allowedMimeTypes: ['image/*', 'text/plain'] }
    assert.deepEqual(ok(await storage.createBucket('limited', options)), { name: 'limited' })
    const made = ok(await storage.getBucket('limited'))
    assert.deepEqual([made.id, made.public, made.file_size_limit, made.allowed_mime_types], ['limited', true, 1_000_000, ['image/*', 'text/plain']])
    assert.equal(made.access, scene.isPooled ? 'owner' : undefined)
    assert.deepEqual(refusal(await storage.createBucket('limited')).slice(1), ['409', 'The resource already exists'])
    const limited = storage.from('limited')
    assert.deepEqual(refusal(await limited.upload('page', '<html>', { contentType: 'text/html' }))[1], '415')
    assert.deepEqual(refusal(await limited.upload('big', Buffer.alloc(1_000_001, 'a'), { contentType: 'text/plain' }))[1], '413')
    assert.equal(refusal(await limited.upload('fake', Buffer.from('MZ\x90\0 a program'), { contentType: 'image/png' }))[1], '415')
    ok(await limited.upload('kept', Buffer.alloc(1_000_000, 'a'), { contentType: 'text/plain' }))

    ok(await storage.updateBucket('limited', { public: false, fileSizeLimit: null, allowedMimeTypes: null }))
    const changed = ok(await storage.getBucket('limited'))
    assert.deepEqual([changed.public, changed.file_size_limit, changed.allowed_mime_types], [false, null, null])
    ok(await limited.upload('page', '<html>', { contentType: 'text/html' }))
    assert.equal(refusal(await limited.upload('too big', randomBytes(2 * 1024 * 1024 + 1)))[1], '413')

    assert.deepEqual(ok(await storage.listBuckets()).map(({ id }) => id).sort(), ['files', 'limited', 'others'])
    const some = ok(await storage.listBuckets({ search: 'i', sortColumn: 'name', sortOrder: 'desc', limit: 1 }))
    assert.deepEqual(some.map(({ id }) => id), ['limited'])
    assert.equal(refusal(await storage.deleteBucket('limited'))[1], '409')
    const before = bodies(scene.program).length
    ok(await storage.emptyBucket('limited'))
    assert.equal(bodies(scene.program).length, before - 2)
    ok(await storage.deleteBucket('limited'))
    assert.equal(refusal(await storage.getBucket('limited'))[1], '404')
    // Who has no service key has no buckets.
    const stranger = client(scene.app)
    assert.equal(refusal(await stranger.storage.createBucket('theirs'))[1], '403')
    assert.deepEqual(ok(await stranger.storage.listBuckets()), [])
    assert.equal(refusal(await stranger.storage.emptyBucket('files'))[1], '403')
  })

  it('a file is uploaded, not overwritten, overwritten, described and removed', async () => {
    const stored = await put('dir/a b+c.txt', 'first', { cacheControl: '60', metadata: { kind: 'note' } })
    assert.equal(stored.path, 'dir/a b+c.txt')
    assert.equal(stored.fullPath, 'files/dir/a b+c.txt')
    assert.match(stored.id, /^[0-9a-f-]{36}$/)
    assert.equal((await read('dir/a b+c.txt')).toString(), 'first')
    assert.equal(refusal(await files.upload('dir/a b+c.txt', 'second'))[1], '409')
    assert.equal((await read('dir/a b+c.txt')).toString(), 'first')

    const info = ok(await files.info('dir/a b+c.txt'))
    assert.deepEqual(
      [info.name, info.size, info.contentType, info.cacheControl, info.etag, info.metadata],
      ['dir/a b+c.txt', 5, 'text/plain', 'max-age=60', `"${hash('first')}"`, { kind: 'note' }],
    )
    const before = bodies(scene.program).length
    ok(await files.upload('dir/a b+c.txt', 'by upsert', { upsert: true, contentType: 'text/x-note' }))
    assert.equal((await read('dir/a b+c.txt')).toString(), 'by upsert')
    ok(await files.update('dir/a b+c.txt', 'by update', { contentType: 'text/plain' }))
    assert.equal((await read('dir/a b+c.txt')).toString(), 'by update')
    assert.equal(bodies(scene.program).length, before, 'old bodies are gone')
    assert.equal(ok(await files.info('dir/a b+c.txt')).id, info.id)

    assert.equal(ok(await files.exists('dir/a b+c.txt')), true)
    assert.equal((await files.exists('dir/none')).data, false)
    assert.deepEqual(ok(await files.remove(['dir/a b+c.txt', 'dir/none'])).map(({ name }) => name), ['dir/a b+c.txt'])
    assert.equal(bodies(scene.program).length, before - 1)
    assert.equal((await files.exists('dir/a b+c.txt')).data, false)
    assert.equal(refusal(await files.info('dir/a b+c.txt'))[1], '404')
    assert.ok((await files.download('dir/a b+c.txt')).error)
    assert.equal(refusal(await files.upload('dir/ä', 'x'))[2], 'Invalid key: dir/ä')
  })

  it('bodies of every kind arrive whole', async () => {
    const bytes = randomBytes(1_500_000)
    const { Readable } = await import('node:stream')
    const kinds = {
      buffer: bytes,
      'array buffer': bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
      blob: new Blob([bytes]),
      form: (() => {
        const form = new FormData()
        form.append('', new Blob([bytes], { type: 'text/plain' }))
        return form
      })(),
      stream: Readable.toWeb(Readable.from([bytes.subarray(0, 700_000), bytes.subarray(700_000)])),
    }
    for (const [kind, body] of Object.entries(kinds)) {
      ok(await files.upload(`kinds/${kind}`, body, kind === 'stream' ? { duplex: 'half' } : {}))
      assert.equal(hash(await read(`kinds/${kind}`)), hash(bytes), kind)
    }
    const pieces = []
    for await (const piece of ok(await files.download('kinds/blob').asStream())) pieces.push(piece)
    assert.equal(hash(Buffer.concat(pieces)), hash(bytes))
    ok(await files.upload('kinds/empty', new Blob([])))
    assert.equal((await read('kinds/empty')).length, 0)
  })

  it('lists go by folder, page, order and search', async () => {
    for (const name of ['l/a.txt', 'l/b.txt', 'l/c.txt', 'l/sub/one', 'l/sub/two', 'l/z/deep/er']) await put(name, name)
    const names = (list) => list.map(({ name }) => name)
    const level = ok(await files.list('l'))
    assert.deepEqual(names(level), ['a.txt', 'b.txt', 'c.txt', 'sub', 'z'])
    assert.deepEqual(level.map(({ id }) => id === null), [false, false, false, true, true])
    assert.equal(level[0].metadata.size, 7)
    assert.deepEqual(names(ok(await files.list('l', { limit: 2, offset: 1 }))), ['b.txt', 'c.txt'])
    assert.deepEqual(names(ok(await files.list('l', { search: 'b.' }))), ['b.txt'])
    const reversed = ok(await files.list('l', { sortBy: { column: 'name', order: 'desc' } }))
    assert.deepEqual(names(reversed.filter(({ id }) => id)), ['c.txt', 'b.txt', 'a.txt'])

    const flat = []
    let cursor
    do {
      const page = ok(await files.listV2({ prefix: 'l/', limit: 4, cursor }))
      flat.push(...page.objects.map(({ name }) => name))
      cursor = page.nextCursor
      assert.equal(page.hasNext, Boolean(cursor))
    } while (cursor)
    assert.deepEqual(flat, ['l/a.txt', 'l/b.txt', 'l/c.txt', 'l/sub/one', 'l/sub/two', 'l/z/deep/er'])
    const folded = ok(await files.listV2({ prefix: 'l/', with_delimiter: true }))
    assert.deepEqual(folded.folders.map(({ name }) => name), ['l/sub/', 'l/z/'])
    assert.equal(folded.objects.length, 3)
  })

  it('files move and are copied, also to another bucket', async () => {
    await put('m/source', 'content', { metadata: { of: 'mine' }, cacheControl: '90' })
    ok(await files.copy('m/source', 'm/copy'))
    ok(await files.copy('m/source', 'm/abroad', { destinationBucket: 'others' }))
    const before = bodies(scene.program).length
    ok(await files.move('m/copy', 'm/moved'))
    ok(await files.move('m/moved', 'm/moved', { destinationBucket: 'others' }))
    assert.equal(bodies(scene.program).length, before)
    for (const name of ['m/abroad', 'm/moved']) {
      assert.equal((await read(name, 'others')).toString(), 'content')
      const info = ok(await service.storage.from('others').info(name))
      assert.deepEqual([info.metadata, info.cacheControl, info.contentType], [{ of: 'mine' }, 'max-age=90', 'text/plain'])
    }
    assert.equal((await files.exists('m/copy')).data, false)
    assert.equal((await files.exists('m/moved')).data, false)
    assert.equal(refusal(await files.move('m/none', 'm/some'))[1], '404')
    assert.equal(refusal(await files.copy('m/source', 'm/abroad', { destinationBucket: 'nowhere' }))[1], '404')
    await put('m/there', 'x')
    assert.equal(refusal(await files.move('m/source', 'm/there'))[1], '409')
    assert.equal((await read('m/source')).toString(), 'content')
  })

  it('signed URLs read and write what they name, nothing else and not for ever', async () => {
    await put('s/one', 'one')
    await put('s/two', 'two')
    const { signedUrl } = ok(await files.createSignedUrl('s/one', 60))
    const read = await ask(scene.app, 'GET', signedUrl)
    assert.deepEqual([read.status, read.text, read.headers.get('content-type')], [200, 'one', 'text/plain'])
    const saved = await ask(scene.app, 'GET', ok(await files.createSignedUrl('s/one', 60, { download: 'another name.txt' })).signedUrl)
    assert.match(saved.headers.get('content-disposition'), /^attachment; filename=.*UTF-8''another%20name\.txt/)
    const swapped = await ask(scene.app, 'GET', signedUrl.replace('s/one', 's/two'))
    assert.deepEqual([swapped.status, swapped.body.error], [400, 'InvalidSignature'])
    const spoilt = await ask(scene.app, 'GET', `${signedUrl.slice(0, -6)}AAAAAA`)
    assert.equal(spoilt.status, 400)
    const many = ok(await files.createSignedUrls(['s/one', 's/none', 's/two'], 60))
    assert.deepEqual(many.map(({ path, error }) => [path, Boolean(error)]), [['s/one', false], ['s/none', true], ['s/two', false]])
    assert.equal((await ask(scene.app, 'GET', many[2].signedUrl)).text, 'two')

    const { token, path } = ok(await files.createSignedUploadUrl('s/new'))
    const nobody = client(scene.app).storage.from('files')
    assert.ok((await nobody.uploadToSignedUrl('s/other', token, 'x')).error)
    ok(await nobody.uploadToSignedUrl(path, token, 'by token', { contentType: 'text/plain' }))
    assert.equal((await ask(scene.app, 'GET', ok(await files.createSignedUrl('s/new', 60)).signedUrl)).text, 'by token')
    assert.equal(refusal(await nobody.uploadToSignedUrl(path, token, 'again'))[1], '409')
    const again = ok(await files.createSignedUploadUrl('s/new', { upsert: true }))
    ok(await nobody.uploadToSignedUrl('s/new', again.token, 'again'))
    // A token for reading writes nothing, and the other way round.
    const reading = new URL(signedUrl).searchParams.get('token')
    assert.ok((await nobody.uploadToSignedUrl('s/one', reading, 'x')).error)
    assert.equal((await ask(scene.app, 'GET', `/object/sign/files/s/new?token=${again.token}`)).status, 400)
  })

  it('public URLs answer ranges and conditions', async () => {
    ok(await service.storage.createBucket('open', { public: true }))
    const open = service.storage.from('open')
    const bytes = randomBytes(10_000)
    ok(await open.upload('f', bytes, { contentType: 'application/x-noise', cacheControl: '120' }))
    const url = open.getPublicUrl('f').data.publicUrl
    const get = (headers, method = 'GET') => ask(scene.app, method, url, { headers })
    const all = await get()
    const [etag, changed] = [all.headers.get('etag'), all.headers.get('last-modified')]
    assert.deepEqual([all.status, hash(all.bytes), etag, all.headers.get('cache-control')], [200, hash(bytes), `"${hash(bytes)}"`, 'max-age=120'])
    for (const [range, from, to] of [['bytes=0-99', 0, 99], ['bytes=9990-', 9990, 9999], ['bytes=-10', 9990, 9999], ['bytes=5000-99999', 5000, 9999]]) {
      const part = await get({ range })
      assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes ${from}-${to}/10000`], range)
      assert.ok(part.bytes.equals(bytes.subarray(from, to + 1)), range)
    }
    assert.equal((await get({ range: 'bytes=10000-' })).status, 416)
    assert.equal((await get({ 'if-none-match': etag })).status, 304)
    assert.equal((await get({ 'if-none-match': '"another"' })).status, 200)
    assert.equal((await get({ 'if-modified-since': changed })).status, 304)
    const head = await get({}, 'HEAD')
    assert.deepEqual([head.status, head.headers.get('content-length'), head.bytes.length], [200, '10000', 0])
    const saved = await ask(scene.app, 'GET', open.getPublicUrl('f', { download: true }).data.publicUrl)
    assert.match(saved.headers.get('content-disposition'), /^attachment/)
    // What is not public is not there.
    await put('closed', 'x')
    const closed = await ask(scene.app, 'GET', files.getPublicUrl('closed').data.publicUrl)
    assert.deepEqual([closed.status, closed.body.error], [400, 'Bucket not found'])
    ok(await service.storage.updateBucket('open', { public: false }))
    assert.equal((await get()).status, 400)
  })

  it('pictures are made smaller on the way', async () => {
    ok(await service.storage.createBucket('pictures', { public: true }))
    const pictures = service.storage.from('pictures')
    ok(await pictures.upload('p.png', png(120, 80), { contentType: 'image/png' }))
    const transform = { width: 60, height: 40 }
    const urls = [
      pictures.getPublicUrl('p.png', { transform }).data.publicUrl,
      ok(await pictures.createSignedUrl('p.png', 60, { transform })).signedUrl,
    ]
    for (const url of urls) {
      const answer = await ask(scene.app, 'GET', url)
      assert.deepEqual([answer.status, answer.headers.get('content-type'), sizeOf(answer.bytes)], [200, 'image/png', [60, 40]], url)
    }
    const blob = ok(await pictures.download('p.png', { transform: { width: 30, resize: 'contain' } }))
    assert.deepEqual(sizeOf(await bytesOf(blob)), [30, 20])
    const webp = await ask(scene.app, 'GET', urls[0], { headers: { accept: 'image/webp,*/*' } })
    assert.deepEqual([webp.headers.get('content-type'), webp.bytes.subarray(8, 12).toString()], ['image/webp', 'WEBP'])
    const signed = await ask(scene.app, 'GET', `${urls[1]}&width=120`)
    assert.deepEqual(sizeOf(signed.bytes), [60, 40], 'what is signed is not changed by the query')
    const closed = await ask(scene.app, 'GET', `/render/image/authenticated/pictures/p.png?width=10`)
    assert.notEqual(closed.status, 200)
    ok(await pictures.upload('p.png', png(40, 40), { contentType: 'image/png', upsert: true }))
    const anew = await ask(scene.app, 'GET', pictures.getPublicUrl('p.png', { transform: { width: 20 } }).data.publicUrl)
    assert.deepEqual(sizeOf(anew.bytes), [20, 20])
  })
})
