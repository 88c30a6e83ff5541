// A dedicated project: `rowhouse start` in a folder with Supabase-style migrations and a seed.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cleanUp, command, psql, relaunch, scratch, start, until } from '../lib/program.mjs'
import { client, member } from '../lib/client.mjs'
import { todoStory } from './todo_story.mjs'

let program, app

before(async () => {
  program = await start({ fixture: 'todo' })
  const { API_URL, ANON_KEY, SERVICE_ROLE_KEY, JWT_SECRET, DB_URL } = program.env
  app = { url: API_URL, anonKey: ANON_KEY, serviceKey: SERVICE_ROLE_KEY, jwtSecret: JWT_SECRET, db: DB_URL }
})

after(() => cleanUp(program))

todoStory('dedicated', () => app)

describe('the local stack', () => {
  it('has the demo secret and keys of the local stack', () => {
    assert.equal(app.jwtSecret, 'super-secret-jwt-token-with-at-least-32-characters-long')
    const payload = JSON.parse(Buffer.from(app.anonKey.split('.')[1], 'base64url'))
    assert.deepEqual(payload, { iss: 'supabase-demo', role: 'anon', exp: 1983812996 })
  })

  it('has run migrations and seed once each', async () => {
    const versions = await psql(app.db, 'select version from supabase_migrations.schema_migrations order by 1')
    assert.deepEqual(versions.split('\n'), ['20240101000000', '20240102000000'])
    const { data } = await client(app).from('notices').select('body').in('body', ['welcome', 'be kind'])
    assert.equal(data.length, 2)
  })

  it('runs the trigger on auth.users', async () => {
    const { supabase, user } = await member(app, 'profiled')
    const { data } = await supabase.from('profiles').select('id, email')
    assert.deepEqual(data, [{ id: user.id, email: user.email }])
  })

  it('serves psql as the owner of the project who is not a superuser', async () => {
    assert.equal(await psql(app.db, 'select current_user'), 'postgres')
    assert.equal(await psql(app.db, 'select rolsuper from pg_roles where rolname = current_user'), 'f')
    await assert.rejects(psql(app.db.replace('postgres:postgres@', 'postgres:wrong@'), 'select 1'), /password/)
    await assert.rejects(psql(app.db.replace('postgres:postgres@', 'supabase_admin:postgres@'), 'select 1'))
  })

  it('sees a schema change without being told', async () => {
    await psql(app.db, 'create table public.fresh (id int primary key, note text); insert into fresh values (1, \'a\')')
    await psql(app.db, 'grant select on public.fresh to anon')
    const seen = async () => (await client(app).from('fresh').select('*')).data
    assert.deepEqual(await until('the new table is served', seen, 10), [{ id: 1, note: 'a' }])
    await psql(app.db, 'alter table public.fresh add column more int default 7')
    const wider = async () => (await seen())?.[0]?.more === 7
    await until('the new column is served', wider, 10)
  })

  it('answers a browser on another origin', async () => {
    const asked = {
      origin: 'https://preview.example.com',
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'apikey,authorization,content-type,prefer,x-client-info',
    }
    const preflight = await fetch(`${app.url}/rest/v1/todos`, { method: 'OPTIONS', headers: asked })
    assert.ok([200, 204].includes(preflight.status))
    assert.ok(['*', asked.origin].includes(preflight.headers.get('access-control-allow-origin')))
    assert.match(preflight.headers.get('access-control-allow-methods'), /PATCH/)
    assert.match(preflight.headers.get('access-control-allow-headers').toLowerCase(), /apikey/)
    const read = await fetch(`${app.url}/rest/v1/notices`, { headers: { apikey: app.anonKey, origin: asked.origin } })
    assert.ok(['*', asked.origin].includes(read.headers.get('access-control-allow-origin')))
    assert.ok(read.headers.get('x-request-id') ?? read.headers.get('sb-request-id'))
    const refused = await fetch(`${app.url}/rest/v1/notices`, { headers: { origin: asked.origin } })
    assert.equal(refused.status, 401)
    assert.ok(refused.headers.get('access-control-allow-origin'), 'a browser may read an error')
  })

  it('answers status, and refuses a second start on the same folder', async () => {
    const { stdout } = await command(['status', '--workdir', program.dir, '-o', 'json'])
    assert.equal(JSON.parse(stdout).API_URL, app.url)
    const env = await command(['status', '--workdir', program.dir, '-o', 'env'])
    assert.match(env.stdout, /^API_URL="?http/m)
    const second = await command(['start', '--workdir', program.dir], { allowFailure: true, seconds: 20 })
    assert.notEqual(second.code, 0)
  })

  it('names the flag when a port is taken', async () => {
    const port = new URL(app.url).port
    const taken = await command(['start', '--workdir', scratch(), '--api-port', port], { allowFailure: true })
    assert.notEqual(taken.code, 0)
    assert.match(taken.stderr, /--api-port/)
  })

  it('keeps everything across a stop and a start', async () => {
    const { user, email } = await member(app, 'lasting')
    const end = await program.stop('SIGINT')
    assert.equal(end.code, 0)
    await relaunch(program)
    const supabase = client(app)
    const { data, error } = await supabase.auth.signInWithPassword({ email, password: 'correct-horse-battery' })
    assert.equal(error, null)
    assert.equal(data.user.id, user.id)
    const versions = await psql(app.db, 'select count(*) from supabase_migrations.schema_migrations')
    assert.equal(versions, '2')
  })
})
