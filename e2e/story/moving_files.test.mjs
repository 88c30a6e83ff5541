// Files that come along from another Supabase Storage: a tree as its file backend leaves it, rows as a dump brings
// them, and then the app as it was.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { client, member } from '../lib/client.mjs'
import { ask, bodies, hash, restart } from '../lib/files.mjs'
import { answering, describe as asApp, projects, serve } from '../lib/platform.mjs'
import { cleanUp, command, psql, until } from '../lib/program.mjs'

const BUCKETS = 'id, name, owner, owner_id, public, file_size_limit, allowed_mime_types, created_at, updated_at'
const OBJECTS = 'id, bucket_id, name, owner, owner_id, version, metadata, user_metadata, created_at, updated_at, last_accessed_at'

/** A directory as the reference's: `<internal bucket>/<tenant>/<bucket>/<key>/<version>`. */
class Tree {
  constructor(dir, name) {
    this.root = path.join(dir, name)
    this.tenant = path.join(this.root, 'stub', 'tenant')
    fs.mkdirSync(path.join(this.root, 'multiparts'), { recursive: true })
    this.objects = []
  }

  /** A body with what the reference notes of it. */
  put(bucket, key, bytes, mimetype = 'text/plain', cacheControl = 'max-age=3600') {
    const object = { bucket, key, bytes, mimetype, cacheControl, version: randomUUID() }
    const file = path.join(this.tenant, bucket, key, object.version)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, bytes)
    this.objects.push({ ...object, file })
    return object
  }

  note() {
    const script = 'import os,sys,json\nfor o in json.load(sys.stdin):\n'
      + ' os.setxattr(o["file"],"user.supabase.content-type",o["mimetype"].encode())\n'
      + ' os.setxattr(o["file"],"user.supabase.cache-control",o["cacheControl"].encode())'
    const notes = this.objects.map(({ file, mimetype, cacheControl }) => ({ file, mimetype, cacheControl }))
    execFileSync('python3', ['-c', script], { input: JSON.stringify(notes) })
  }
}

const csv = (value) => (value === null ? '' : `"${String(value).replaceAll('"', '""')}"`)

/** Rows as `\copy` takes them out of another database. */
function dump(dir, buckets, objects, owner) {
  const at = '2024-05-06 07:08:09.123+00'
  const metadata = ({ bytes, mimetype, cacheControl }) => JSON.stringify({
    eTag: `"${hash(bytes)}"`, size: bytes.length, mimetype, cacheControl,
    lastModified: '2024-05-06T07:08:09.000Z', contentLength: bytes.length, httpStatusCode: 200,
  })
  const rows = objects.map((object) =>
    [randomUUID(), object.bucket, object.key, owner, owner, object.version, metadata(object), '{"from":"there"}', at, at, at])
  const files = [path.join(dir, 'buckets.csv'), path.join(dir, 'objects.csv')]
  fs.writeFileSync(files[0], buckets.map(([name, open]) => [name, name, null, null, open, null, null, at, at].map(csv).join(',')).join('\n'))
  fs.writeFileSync(files[1], rows.map((row) => row.map(csv).join(',')).join('\n'))
  return files
}

describe('an app that moves here with its files', () => {
  let program
  before(async () => {
    program = await serve()
  })
  after(() => cleanUp(program))

  /** Runs the import; what it counted. */
  async function bring(app, tree, ...more) {
    const args = ['storage', 'import', app.ref, '--from', tree.root, '--data', program.data, '-o', 'json', ...more]
    const { code, stdout, stderr } = await command(args, { allowFailure: true, seconds: 240 })
    return { code, stderr, counts: stdout.trim() ? JSON.parse(stdout) : null }
  }

  async function project(tenancy) {
    const made = await projects(program, 'create', `moving ${randomUUID().slice(0, 8)}`, '--tenancy', tenancy)
    return asApp(program, made)
  }

  /** Where psql reaches a dedicated project. */
  async function database(app) {
    const keys = await projects(program, 'keys', app.ref)
    const port = program.args[program.args.indexOf('--db-port') + 1]
    return `postgresql://postgres.${app.ref}:${keys.database_password}@127.0.0.1:${port}/postgres`
  }

  async function downloads(app, objects) {
    const bucket = (name) => client(app, app.serviceKey).storage.from(name)
    for (const { bucket: name, key, bytes } of objects) {
      const { data, error } = await bucket(name).download(key)
      assert.equal(error, null, `${name}/${key}`)
      assert.ok(Buffer.from(await data.arrayBuffer()).equals(bytes), `the bytes of ${name}/${key}`)
    }
  }

  it('has its rows by psql and its files by one command', async () => {
    const app = await project('dedicated')
    const tree = new Tree(program.dir, 'rows')
    tree.put('avatars', 'face.png', randomBytes(3_000_000), 'image/png', 'public, max-age=60')
    tree.put('avatars', 'a folder/name.txt', Buffer.from('some text'), 'text/plain;charset=UTF-8')
    tree.put('secret', 'empty', Buffer.alloc(0))
    const url = await database(app)
    const { supabase, user } = await member(app, 'owner')
    const [buckets, objects] = dump(program.dir, [['avatars', true], ['secret', false]], tree.objects, user.id)
    await psql(url, `\\copy storage.buckets (${BUCKETS}) from '${buckets}' csv`)
    await psql(url, `\\copy storage.objects (${OBJECTS}) from '${objects}' csv`)
    await psql(url, 'create policy own on storage.objects for select to authenticated using (owner_id = (select auth.uid()::text))')
    const before = await ask(app, 'GET', '/object/public/avatars/face.png')
    assert.equal(before.status, 400, 'a row without its body is not served')

    const check = await bring(app, tree, '--check')
    assert.deepEqual([check.code, check.counts.copied, bodies(program).length], [0, 3, 0])
    const { code, counts, stderr } = await bring(app, tree)
    assert.equal(code, 0, stderr)
    assert.match(stderr, /from stub\/tenant/)
    assert.deepEqual([counts.rows, counts.copied, counts.there, counts.filled], [3, 3, 0, 0])
    await downloads(app, tree.objects)

    const face = await ask(app, 'GET', '/object/public/avatars/face.png')
    assert.equal(hash(face.bytes), hash(tree.objects[0].bytes))
    const headers = ['content-type', 'cache-control', 'etag', 'last-modified', 'content-length']
    assert.deepEqual(headers.map((name) => face.headers.get(name)), [
      'image/png', 'public, max-age=60', `"${hash(face.bytes)}"`, 'Mon, 06 May 2024 07:08:09 GMT', '3000000',
    ])
    const { data: info } = await supabase.storage.from('secret').info('empty')
    assert.deepEqual([info.size, info.metadata], [0, { from: 'there' }], 'owners are who they were')
    const signed = await supabase.storage.from('avatars').createSignedUrl('a folder/name.txt', 60)
    assert.equal(await (await fetch(signed.data.signedUrl)).text(), 'some text')

    fs.rmSync(tree.root, { recursive: true })
    fs.mkdirSync(tree.tenant, { recursive: true })
    const again = await bring(app, tree)
    assert.deepEqual([again.code, again.counts.there, again.counts.copied], [0, 3, 0])
  })

  it('is told what is missing, by name', async () => {
    const app = await project('dedicated')
    const tree = new Tree(program.dir, 'missing')
    tree.put('docs', 'here', Buffer.from('here'))
    tree.put('docs', 'lost', Buffer.from('lost'))
    tree.put('docs', 'cut', Buffer.from('cut off'))
    fs.rmSync(tree.objects[1].file)
    fs.writeFileSync(tree.objects[2].file, 'cut')
    const [buckets, objects] = dump(program.dir, [['docs', false]], tree.objects, null)
    const url = await database(app)
    await psql(url, `\\copy storage.buckets (${BUCKETS}) from '${buckets}' csv`)
    await psql(url, `\\copy storage.objects (${OBJECTS}) from '${objects}' csv`)
    const { code, counts, stderr } = await bring(app, tree)
    assert.equal(code, 1)
    assert.deepEqual([counts.copied, counts.missing, counts.differing], [1, 1, 1])
    assert.match(stderr, new RegExp(`^missing: docs/lost \\(version ${tree.objects[1].version}\\)$`, 'm'))
    assert.match(stderr, /^differing: docs\/cut \(3 bytes, and 7 in the row\)$/m)
    fs.writeFileSync(tree.objects[1].file, 'lost')
    fs.writeFileSync(tree.objects[2].file, 'cut off')
    const mended = await bring(app, tree)
    assert.deepEqual([mended.code, mended.counts.there, mended.counts.copied], [0, 1, 2])
    await downloads(app, tree.objects)
  })

  it('gets rows made of the files of a pooled project, and nobody else does', async () => {
    const [app, other] = [await project('pooled'), await project('pooled')]
    const tree = new Tree(program.dir, 'files')
    tree.put('shots', 'one.jpg', randomBytes(100_000), 'image/jpeg', 'max-age=9')
    tree.put('shots', 'in/two', Buffer.from('{}'), 'application/json')
    tree.note()
    const { code, counts, stderr } = await bring(app, tree, '--create-rows')
    assert.equal(code, 0, stderr)
    assert.deepEqual([counts.rows, counts.created, counts.copied], [0, 2, 2])
    await downloads(app, tree.objects)
    const shot = await ask(app, 'GET', '/object/authenticated/shots/one.jpg', { bearer: app.serviceKey })
    assert.deepEqual(['content-type', 'cache-control'].map((name) => shot.headers.get(name)), ['image/jpeg', 'max-age=9'])
    assert.equal((await ask(app, 'GET', '/object/public/shots/one.jpg')).status, 400, 'buckets are private')
    const { data } = await client(other, other.serviceKey).storage.listBuckets()
    assert.deepEqual(data, [])
  })

  it('may come while nothing runs', async () => {
    const app = await project('pooled')
    const tree = new Tree(program.dir, 'offline')
    tree.put('b', 'k', Buffer.from('offline'))
    await program.stop()
    const { code, counts, stderr } = await bring(app, tree, '--create-rows')
    await answering(program.launch())
    assert.equal(code, 0, stderr)
    assert.equal(counts.created, 1)
    await downloads(app, tree.objects)
  })

  it('is killed in the middle, and goes on', async () => {
    const app = await project('pooled')
    const tree = new Tree(program.dir, 'killed')
    for (let n = 0; n < 400; n += 1) tree.put('b', `k ${n}`, randomBytes(50_000))
    const had = bodies(program).length
    const cut = bring(app, tree, '--create-rows', '--jobs', '2')
    await until('some files are here', () => bodies(program).length > had + 20)
    await restart(program, 'SIGKILL')
    const { code, counts } = await cut
    assert.ok(code !== 0 || counts.created === 400)
    // Whatever has a row has its body.
    const here = await bring(app, tree)
    assert.equal(here.code, 0, here.stderr)
    assert.deepEqual([here.counts.there, here.counts.missing], [here.counts.rows, 0])
    const rest = await bring(app, tree, '--create-rows')
    assert.equal(rest.code, 0, rest.stderr)
    assert.equal(rest.counts.rows + rest.counts.created, 400)
    await downloads(app, tree.objects)
  })
})
