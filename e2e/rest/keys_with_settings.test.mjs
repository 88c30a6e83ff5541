// F6–F11 and E3: one project, many apps, each with an API key that is bound to a setting. The published client,
// unmodified, against the real program; and what a client may try to get out of its bounds.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cleanUp, command, psql, start } from '../lib/program.mjs'
import { client, member, rest, token } from '../lib/client.mjs'

const A = 'aaaaaaaa-0000-4000-8000-00000000000a'
const B = 'bbbbbbbb-0000-4000-8000-00000000000b'

let program, app, ref
const keys = {}

const projects = (...args) => command(['projects', ...args, '--data', `${program.dir}/.rowhouse`])

async function key(name, ...args) {
  const { stdout } = await projects('api-keys', 'create', ref, name, ...args, '-o', 'json')
  return JSON.parse(stdout).api_key
}

before(async () => {
  program = await start({ fixture: 'faibric' })
  app = { url: program.env.API_URL, anonKey: program.env.ANON_KEY, jwtSecret: program.env.JWT_SECRET }
  ref = JSON.parse((await projects('list', '-o', 'json')).stdout)[0].ref
  await psql(program.env.DB_URL, `insert into faibric_apps (id, project_id) values ('${A}', 1), ('${B}', 2)`)
  keys.a = await key('app-a', '--set', `app.current_app_id=${A}`)
  keys.b = await key('app-b', '--set', `app.current_app_id=${B}`, '--claim', 'tenant={"id":7}')
  keys.acme = await key('acme', '--set', 'app.tenant_id=acme')
  keys.broken = await key('broken', '--set', 'app.current_app_id=nonsense')
})

after(() => cleanUp(program))

describe('keys with settings', () => {
  it('fill the column and keep apps apart', async () => {
    for (const [name, title] of [['a', 'of a'], ['b', 'of b']]) {
      const supabase = client(app, keys[name])
      const { error } = await supabase.from('app_data').insert({ table_name: 'news', data: { title } })
      assert.equal(error, null)
    }
    for (const [name, title, id] of [['a', 'of a', A], ['b', 'of b', B]]) {
      const { data, error } = await client(app, keys[name]).from('app_data').select('*').eq('table_name', 'news')
      assert.equal(error, null)
      assert.deepEqual(data.map((row) => [row.app_id, row.data.title]), [[id, title]])
    }
    const { error } = await client(app, keys.a).from('app_data').delete().neq('app_id', A)
    assert.equal(error, null)
    assert.equal(await psql(program.env.DB_URL, 'select count(*) from app_data'), '2')
    const stolen = await client(app, keys.a).from('app_data').insert({ app_id: B, table_name: 'x', data: {} })
    assert.equal(stolen.error.code, '42501')
  })

  it('hold for signed-in users as well, whatever their token says', async () => {
    const { session } = await member(app)
    const forged = token({ role: 'authenticated', sub: session.user.id, tenant: 'mine', 'app.current_app_id': A,
      exp: Math.floor(Date.now() / 1000) + 600 }, app.jwtSecret)
    for (const bearer of [session.access_token, forged]) {
      const { status, body } = await rest(app, 'rpc/seen', { key: keys.b, bearer, method: 'POST', body: '{}' })
      assert.equal(status, 200, JSON.stringify(body))
      assert.equal(body.app, B)
      assert.equal(body.role, 'authenticated')
      assert.equal(body.claims.sub, session.user.id)
      assert.deepEqual(body.claims.tenant, { id: 7 })
    }
  })

  it('cannot be overridden by anything that a client sends', async () => {
    const headers = {
      'app.current_app_id': A,
      'x-app-current-app-id': A,
      'x-rowhouse-settings': JSON.stringify({ 'app.current_app_id': A }),
      'x-rowhouse-claims': '{"tenant":1}',
      cookie: `app.current_app_id=${A}`,
      prefer: `app.current_app_id=${A}, timezone=UTC`,
    }
    const seen = await rest(app, 'rpc/seen', { key: keys.b, method: 'POST', body: '{}', headers })
    assert.deepEqual([seen.body.app, seen.body.claims.tenant], [B, { id: 7 }])
    for (const path of [`app_data?app.current_app_id=eq.${A}`, `rpc/set_config?setting_name=app.current_app_id&new_value=${A}&is_local=true`]) {
      const { status } = await rest(app, path, { key: keys.b })
      assert.ok(status >= 400, path)
    }
    const batch = [
      { method: 'GET', path: 'rpc/seen', headers: { apikey: keys.a } },
      { method: 'GET', path: 'rpc/seen' },
    ]
    const post = (body) => rest(app, '', { key: keys.b, method: 'POST', body: JSON.stringify(body), headers: { cookie: headers.cookie } })
    assert.equal((await post(batch)).status, 400)
    const { body } = await post(batch.slice(1))
    assert.equal(body[0].body.app, B)
    // Another key in Authorization is no token, and changes nothing.
    const other = await rest(app, 'rpc/seen', { key: keys.b, bearer: keys.a, method: 'POST', body: '{}' })
    assert.equal(other.body.app, B)
    const explained = await rest(app, 'app_data', { key: keys.b, headers: { accept: 'application/vnd.rowhouse.explain+json' } })
    assert.deepEqual([explained.status, explained.body.code], [403, 'service_key_needed'])
  })

  it('deny in words when the setting is unset or malformed', async () => {
    for (let round = 0; round < 3; round++) {
      for (const key of [app.anonKey, keys.acme]) {
        const { status, body } = await rest(app, 'app_data', { key })
        assert.deepEqual([status, body.code], [400, '42704'])
        assert.match(body.hint, /does not carry the setting 'app.current_app_id'/)
      }
      const insert = await client(app).from('app_data').insert({ table_name: 'x', data: {} })
      assert.equal(insert.error.code, '42704')
      const malformed = await client(app, keys.broken).from('app_data').select('*')
      assert.equal(malformed.error.code, '22P02')
      assert.match(malformed.error.hint, /setting 'app.current_app_id' of the API key/)
    }
    assert.equal(await psql(program.env.DB_URL, `select count(*) from app_data where table_name = 'x'`), '0')
  })

  it('carry texts as well: one tenant a key (E3)', async () => {
    const acme = client(app, keys.acme)
    assert.equal((await acme.from('user_data').insert({ word: 'secret' })).error, null)
    assert.deepEqual((await acme.from('user_data').select('tenant_id, word')).data, [{ tenant_id: 'acme', word: 'secret' }])
    for (const key of [app.anonKey, keys.a]) {
      assert.equal((await client(app, key).from('user_data').select()).error.code, '42704')
      assert.equal((await client(app, key).from('user_data').insert({ word: 'x' })).error.code, '42704')
    }
  })

  it('are refused when made with a name that is somebody else\'s', async () => {
    for (const pair of ['role=postgres', 'search_path=x', 'statement_timeout=0', 'session_authorization=x',
      'request.jwt.claims={}', 'rowhouse.app_id=1', 'Request.Method=x', 'app=1', 'app.x y=1', 'app.x=']) {
      const { code, stderr } = await command(
        ['projects', 'api-keys', 'create', ref, 'bad', '--set', pair, '--data', `${program.dir}/.rowhouse`], { allowFailure: true })
      assert.notEqual(code, 0, pair)
      assert.match(stderr, /reserved|not the name of a setting|must be a text/, pair)
    }
    for (const claim of ['role="service_role"', 'sub=x', 'exp=9999999999']) {
      const { code } = await command(
        ['projects', 'api-keys', 'create', ref, 'bad', '--claim', claim, '--data', `${program.dir}/.rowhouse`], { allowFailure: true })
      assert.notEqual(code, 0, claim)
    }
    const { stdout } = await projects('api-keys', 'list', ref, '-o', 'json')
    const listed = JSON.parse(stdout)
    assert.equal(listed.find((key) => key.name === 'app-a').settings['app.current_app_id'], A)
    assert.ok(!stdout.includes(keys.a), 'the list does not show keys')
  })

  it('end with the key', async () => {
    const short = await key('short', '--set', `app.current_app_id=${A}`)
    assert.equal((await rest(app, 'app_data', { key: short })).status, 200)
    await projects('api-keys', 'delete', ref, 'short')
    assert.equal((await rest(app, 'app_data', { key: short })).status, 401)
  })
})
