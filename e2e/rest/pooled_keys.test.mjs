// Keys with settings in pooled projects: two projects of one shard, each with several keys; no key reaches another's
// rows, and none reaches the other project.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cleanUp } from '../lib/program.mjs'
import { client, member, rest } from '../lib/client.mjs'
import { pooled, projects, serve } from '../lib/platform.mjs'

const A = 'aaaaaaaa-0000-4000-8000-00000000000a'
const B = 'bbbbbbbb-0000-4000-8000-00000000000b'

let program, one, two
const keys = {}

const key = async (app, name, ...args) => (await projects(program, 'api-keys', 'create', app.ref, name, ...args)).api_key

before(async () => {
  program = await serve()
  one = await pooled(program, 'shared backend', 'faibric.json')
  two = await pooled(program, 'another', 'faibric.json')
  keys.a = await key(one, 'a', '--set', `app.current_app_id=${A}`)
  keys.b = await key(one, 'b', '--set', `app.current_app_id=${B}`)
  keys.acme = await key(one, 'acme', '--set', 'app.tenant_id=acme')
  keys.other = await key(one, 'other', '--set', 'app.tenant_id=other')
  keys.broken = await key(one, 'broken', '--set', 'app.current_app_id=nonsense')
  keys.elsewhere = await key(two, 'a', '--set', `app.current_app_id=${A}`)
})

after(() => cleanUp(program))

describe('keys with settings in a shard', () => {
  it('keep apps apart, and projects', async () => {
    for (const [app, name, title] of [[one, 'a', 'of a'], [one, 'b', 'of b'], [two, 'elsewhere', 'of two']]) {
      const { error } = await client(app, keys[name]).from('app_data').insert({ table_name: 'news', data: { title } })
      assert.equal(error, null)
    }
    for (const [app, name, title] of [[one, 'a', 'of a'], [one, 'b', 'of b'], [two, 'elsewhere', 'of two']]) {
      const { data, error } = await client(app, keys[name]).from('app_data').select('data').eq('table_name', 'news')
      assert.equal(error, null)
      assert.deepEqual(data, [{ data: { title } }])
    }
    assert.equal((await client(one, keys.a).from('app_data').delete().neq('app_id', A)).error, null)
    const all = await client(one, one.serviceKey).from('app_data').select('app_id').order('app_id')
    assert.deepEqual(all.data, [{ app_id: A }, { app_id: B }])
    const stolen = await client(one, keys.a).from('app_data').insert({ app_id: B, table_name: 'x', data: {} })
    assert.equal(stolen.error.code, '42501')
    assert.equal((await rest(two, 'app_data', { key: keys.a })).status, 401)
  })

  it('hold for a signed-in user, who reaches other rows with another key', async () => {
    const { session, user } = await member(one)
    const bearer = session.access_token
    const insert = await rest(one, 'todos', {
      key: keys.acme, bearer, method: 'POST', headers: { prefer: 'return=representation' },
      body: JSON.stringify({ user_id: user.id, text: 'of acme' }),
    })
    assert.equal(insert.status, 201, JSON.stringify(insert.body))
    assert.equal(insert.body[0].tenant, 'acme')
    const read = async (key, headers) => (await rest(one, 'todos?select=text', { key, bearer, headers })).body
    assert.deepEqual(await read(keys.acme), [{ text: 'of acme' }])
    assert.deepEqual(await read(keys.other), [])
    assert.deepEqual(await read(keys.other, { 'app.tenant_id': 'acme', prefer: 'app.tenant_id=acme' }), [])
    assert.deepEqual(await read(one.anonKey), [])
  })

  it('deny without the setting, and with one that cannot be read', async () => {
    for (let round = 0; round < 2; round++) {
      const empty = await client(one).from('app_data').select('*')
      assert.deepEqual(empty.data, [])
      const insert = await client(one).from('app_data').insert({ table_name: 'x', data: {} })
      assert.match(insert.error.code, /^(23502|42501)$/)
      const named = await client(one).from('app_data').insert({ app_id: A, table_name: 'x', data: {} })
      assert.equal(named.error.code, '42501')
      assert.match(named.error.hint, /does not carry the settings 'app.current_app_id', 'app.tenant_id'/)
      const malformed = await client(one, keys.broken).from('app_data').select('*')
      assert.equal(malformed.error.code, '22P02')
      assert.match(malformed.error.hint, /setting 'app.current_app_id' of the API key/)
    }
  })

  it('are explained without a word of the shard', async () => {
    const headers = {
      accept: 'application/vnd.rowhouse.explain+json; for="anon"',
      'x-rowhouse-settings': JSON.stringify({ 'app.current_app_id': B }),
    }
    const { status, body } = await rest(one, 'app_data?select=id', { key: one.serviceKey, headers })
    assert.equal(status, 200, JSON.stringify(body))
    assert.deepEqual([body.verdict, body.rows], ['allowed', 1])
    const policy = body.relations[0].policies.find((found) => found.name === 'rowhouse_key')
    assert.deepEqual(policy.sample, { rows: 2, passing: 1 })
    const text = JSON.stringify(body)
    assert.ok(!text.includes(`app_${one.appId}`) && !text.includes('shard'), text)
  })
})
