// Two pooled projects of one shard, made from entities: each an app of its own, neither able to reach the other.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cleanUp } from '../lib/program.mjs'
import { claims, client, email, member, PASSWORD, rest, token } from '../lib/client.mjs'
import { pooled, serve } from '../lib/platform.mjs'
import { todoStory } from './todo_story.mjs'

let program, one, two

before(async () => {
  program = await serve()
  one = await pooled(program, 'first app')
  two = await pooled(program, 'second app')
})

after(() => cleanUp(program))

todoStory('pooled, first app', () => one)
todoStory('pooled, second app', () => two)

describe('two apps of one shard', () => {
  it('have different ids and keys', () => {
    assert.notEqual(one.appId, two.appId)
    assert.notEqual(one.anonKey, two.anonKey)
    assert.notEqual(one.jwtSecret, two.jwtSecret)
  })

  it('know a table by its plain and its prefixed name', async () => {
    const { supabase, user } = await member(one, 'prefixed')
    const prefixed = `app_${one.appId}_todos`
    const inserted = await supabase.from(prefixed).insert([{ user_id: user.id, text: 'both', completed: false }])
    assert.equal(inserted.error, null)
    const { data } = await supabase.from('todos').select('text').eq('user_id', user.id)
    assert.deepEqual(data, [{ text: 'both' }])
    const again = await supabase.from(prefixed).select('text').eq('user_id', user.id)
    assert.deepEqual(again.data, [{ text: 'both' }])
  })

  it('do not know each other\'s prefixed names', async () => {
    const { supabase } = await member(one, 'curious')
    const { error, status } = await supabase.from(`app_${two.appId}_todos`).select('*')
    assert.equal(status, 404)
    assert.equal(error.code, 'PGRST205')
    assert.ok(!JSON.stringify(error).includes('"app_'), 'no physical names in errors')
  })

  it('take the same e-mail address each for itself', async () => {
    const address = email('twice')
    const [first, second] = [await member(one, 'twice', address), await member(two, 'twice', address)]
    assert.notEqual(first.user.id, second.user.id)
    await first.supabase.from('todos').insert([{ user_id: first.user.id, text: 'of one', completed: false }])
    const { data } = await second.supabase.from('todos').select('*')
    assert.deepEqual(data, [])
  })

  it('refuse an account of the other', async () => {
    const { email: address } = await member(one, 'local')
    const { error } = await client(two).auth.signInWithPassword({ email: address, password: PASSWORD })
    assert.equal(error.code, 'invalid_credentials')
  })

  it('refuse a token of the other in rest and auth', async () => {
    const { session } = await member(one, 'roaming')
    const read = await rest(two, 'todos', { bearer: session.access_token })
    assert.equal(read.status, 401)
    assert.match(read.body.code, /^PGRST30/)
    const { error } = await client(two).auth.getUser(session.access_token)
    assert.equal(error.status, 403)
    assert.equal(error.code, 'bad_jwt')
    const refresh = await client(two).auth.refreshSession({ refresh_token: session.refresh_token })
    assert.ok(refresh.error)
  })

  it('refuse a key of the other on their own address', async () => {
    const { status } = await rest(two, 'todos', { key: one.anonKey })
    assert.equal(status, 401)
    const service = await rest(two, 'todos', { key: one.serviceKey })
    assert.equal(service.status, 401)
  })

  it('refuse a token of their own that names the other app\'s user', async () => {
    const { user } = await member(one, 'owner')
    const forged = token(
      { sub: user.id, role: 'authenticated', aud: 'authenticated', exp: Math.floor(Date.now() / 1000) + 60 },
      two.jwtSecret,
    )
    const { status, body } = await rest(two, 'todos', { bearer: forged })
    assert.equal(status, 200)
    assert.deepEqual(body, [])
  })

  it('keep the service key inside its app', async () => {
    const { supabase, user } = await member(one, 'kept')
    await supabase.from('todos').insert([{ user_id: user.id, text: 'secret', completed: false }])
    const other = client(two, two.serviceKey)
    const { data, error } = await other.from('todos').select('*').eq('text', 'secret')
    assert.equal(error, null)
    assert.deepEqual(data, [])
    const users = await other.auth.admin.listUsers()
    assert.equal(users.error, null)
    assert.ok(!users.data.users.some((found) => found.id === user.id))
    const lookup = await other.auth.admin.getUserById(user.id)
    assert.equal(lookup.error.status, 404)
  })

  it('are found by the reference in the key alone', async () => {
    const direct = { ...one, url: one.bareUrl }
    const { user } = await member(direct, 'bare')
    assert.equal(claims((await member(one, 'other')).session.access_token).role, 'authenticated')
    assert.ok(user.id)
  })

  it('take opaque keys as well', async () => {
    const { data, error } = await client(one, one.publishableKey).from('notices').select('body')
    assert.equal(error, null)
    assert.ok(Array.isArray(data))
    const secret = await client(one, one.secretKey).from('todos').select('id')
    assert.equal(secret.error, null)
    assert.ok(secret.data.length > 0)
  })

  it('remove a user\'s rows with the user', async () => {
    const { supabase, user } = await member(one, 'leaver')
    await supabase.from('todos').insert([{ user_id: user.id, text: 'gone', completed: false }])
    const service = client(one, one.serviceKey)
    assert.equal((await service.auth.admin.deleteUser(user.id)).error, null)
    const { data } = await service.from('todos').select('id').eq('user_id', user.id)
    assert.deepEqual(data, [])
  })
})
