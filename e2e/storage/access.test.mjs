// Who reaches a file: what a bucket's access says in a shard, and policies that say the same in a database of its own.

import assert from 'node:assert/strict'
import { before, it } from 'node:test'
import { client, member } from '../lib/client.mjs'
import { ask, bucketWith, inDatabase, reachableBucket } from '../lib/files.mjs'
import { psql } from '../lib/program.mjs'
import { inBothTenancies, ok } from '../lib/tenancies.mjs'

const text = { contentType: 'text/plain' }

inBothTenancies('who reaches a file', () => '', (scene) => {
  let alice, bob, nobody, service

  before(async () => {
    ;[alice, bob] = [await member(scene.app, 'alice'), await member(scene.app, 'bob')]
    nobody = { supabase: client(scene.app) }
    service = client(scene.app, scene.app.serviceKey)
  })

  /** Every way to a file, by one letter each, with the published client; what was changed is put back. */
  async function rights(who, bucket, key) {
    const theirs = who.supabase.storage.from(bucket)
    const all = service.storage.from(bucket)
    const folder = key.includes('/') ? key.slice(0, key.lastIndexOf('/')) : ''
    const beside = (name) => [folder, `${name}`].filter(Boolean).join('/')
    const place = who.user ? `${who.user.id}/of theirs` : 'of nobody'
    const good = async (call) => (await call).error === null
    const tidy = async (...names) => void ok(await all.remove(names))
    const ways = {
      r: () => good(theirs.download(key)),
      i: () => good(theirs.info(key)),
      l: async () => ok(await theirs.list(folder)).length > 0,
      v: async () => ok(await theirs.listV2({ prefix: folder })).objects.length > 0,
      s: () => good(theirs.createSignedUrl(key, 60)),
      c: async () => (await good(theirs.copy(key, place))) && (await tidy(place), true),
      n: async () => (await good(theirs.upload(beside('new'), 'new', text))) && (await tidy(beside('new')), true),
      u: () => good(theirs.createSignedUploadUrl(beside('signed'))),
      o: () => good(theirs.upload(key, 'theirs', { ...text, upsert: true })),
      p: () => good(theirs.update(key, 'theirs', text)),
      m: () => good(theirs.move(key, place)),
      d: async () => ok(await theirs.remove([key])).length > 0,
    }
    let may = ''
    for (const [letter, way] of Object.entries(ways)) {
      if (!(await way())) continue
      may += letter
      if (!'opmd'.includes(letter)) continue
      await tidy(key, place)
      ok(await alice.supabase.storage.from(bucket).upload(key, 'mine', text))
    }
    assert.equal(await ok(await all.download(key)).text(), 'mine')
    return may
  }

  it('is as the four accesses say', async () => {
    const everything = 'rilvscnuopmd'
    for (const [access, key, owner, other, anonymous] of [
      ['owner', 'k', everything, 'nu', ''],
      ['project', 'k', everything, everything, ''],
      ['public_read', 'k', everything, 'rilvscnu', 'rilvs'],
      ['folder', `${alice.user.id}/k`, everything, '', ''],
    ]) {
      await reachableBucket(scene, access, access)
      ok(await alice.supabase.storage.from(access).upload(key, 'mine', text))
      assert.equal(await rights(alice, access, key), owner, `${access}: the owner`)
      assert.equal(await rights(bob, access, key), other, `${access}: another user`)
      assert.equal(await rights(nobody, access, key), anonymous, `${access}: nobody`)
    }
  })

  it('is nobody where nothing says so, and somebody from the moment that it does', async () => {
    await bucketWith(scene.app, 'closed')
    ok(await service.storage.from('closed').upload('k', 'of the service', text))
    const theirs = alice.supabase.storage.from('closed')
    assert.ok((await theirs.download('k')).error)
    if (scene.isPooled) {
      const refused = await ask(scene.app, 'PUT', '/bucket/closed', { bearer: alice.session.access_token, json: { access: 'project' } })
      assert.equal(refused.body.statusCode, '404')
      const changed = await ask(scene.app, 'PUT', '/bucket/closed', { bearer: scene.app.serviceKey, json: { access: 'project' } })
      assert.equal(changed.status, 200)
      assert.equal((await ask(scene.app, 'GET', '/bucket/closed', { bearer: scene.app.serviceKey })).body.access, 'project')
    } else {
      const refused = await ask(scene.app, 'POST', '/bucket', { bearer: scene.app.serviceKey, json: { name: 'x', access: 'project' } })
      assert.match(refused.body.message, /policies/)
      await psql(scene.app.db, `create policy opened on storage.objects for select to authenticated using (bucket_id = 'closed')`)
    }
    assert.equal(await ok(await theirs.download('k')).text(), 'of the service')
    if (scene.isPooled) return
    await psql(scene.app.db, 'drop policy opened on storage.objects')
    assert.ok((await theirs.download('k')).error)
  })

  it('is also what policies of other kinds say', async (test) => {
    if (scene.isPooled) return test.skip('in a shard nobody writes policies')
    await bucketWith(scene.app, 'small')
    await psql(scene.app.db, `create policy "small pictures" on storage.objects for insert to authenticated
      with check (bucket_id = 'small' and storage.extension(name) = 'png' and (metadata ->> 'contentLength')::int < 100 and storage.filename(name) like 'p%')`)
    const small = alice.supabase.storage.from('small')
    ok(await small.upload('a/p.png', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), { contentType: 'image/png' }))
    for (const [name, bytes] of [['a/p.gif', 10], ['a/p.png', 200], ['p/q.png', 10]]) {
      assert.equal((await small.upload(name, Buffer.alloc(bytes))).error.statusCode, '403', name)
    }
    await psql(scene.app.db, `create table rooms (id text primary key, member uuid); insert into rooms values ('r', '${alice.user.id}');
      alter table rooms enable row level security; create policy own on rooms to authenticated using (member = auth.uid());
      create policy "rooms" on storage.objects for all to authenticated using (bucket_id = 'small' and (storage.foldername(name))[1] in (select id from public.rooms))`)
    ok(await small.upload('r/f', 'x', text))
    assert.equal((await bob.supabase.storage.from('small').upload('r/f', 'x', text)).error.statusCode, '403')
    assert.equal((await small.list('r')).data.length, 1)
    assert.equal((await bob.supabase.storage.from('small').list('r')).data.length, 0)
  })

  it('is not changed by what a client says of itself', async () => {
    await reachableBucket(scene, 'mine', 'owner')
    ok(await alice.supabase.storage.from('mine').upload('k', 'mine', text))
    const { access_token: bearer } = bob.session
    const headers = { role: 'service_role', 'x-owner': alice.user.id, 'x-user-id': alice.user.id, 'rowhouse.app_id': '1', 'x-upsert': 'true' }
    assert.equal((await ask(scene.app, 'GET', '/object/authenticated/mine/k', { bearer, headers })).body.error, 'not_found')
    const put = await ask(scene.app, 'POST', `/object/mine/k?owner=${alice.user.id}`, { bearer, headers: { ...headers, 'x-metadata': btoa('{"owner":"x"}') }, body: 'his' })
    assert.equal(put.body.statusCode, '403')
    ok(await bob.supabase.storage.from('mine').upload('his', 'his', { ...text, metadata: { owner_id: alice.user.id } }))
    assert.equal(await inDatabase(scene, `select owner_id from storage.objects where name = 'his'`), bob.user.id)
    assert.ok((await alice.supabase.storage.from('mine').download('his')).error)
  })
})
