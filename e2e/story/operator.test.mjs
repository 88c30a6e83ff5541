// What the operator does from the command line: projects, keys, environment files, entity models and their mistakes.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cleanUp, command, psql, start, until } from '../lib/program.mjs'
import { client, member } from '../lib/client.mjs'
import { answering, pooled, projects, serve } from '../lib/platform.mjs'

describe('the operator of a platform', () => {
  let program

  before(async () => {
    program = await serve({ extra: ['--shard-capacity', '3'] })
  })
  after(() => cleanUp(program))

  const apply = (app, model, ...more) => {
    const file = path.join(program.dir, 'model.json')
    fs.writeFileSync(file, JSON.stringify(model))
    const args = ['entities', 'apply', file, '--project', app.ref, '--data', program.data, ...more]
    return command(args, { allowFailure: true })
  }
  const entity = (columns, name = 'notes') => ({ entities: [{ name, scope: 'user_scoped', columns }] })

  it('opens the next shard when one is full', async () => {
    const apps = []
    for (let n = 0; n < 5; n += 1) apps.push(await pooled(program, `crowd ${n}`, null))
    const shown = await Promise.all(apps.map((app) => projects(program, 'show', app.ref)))
    assert.deepEqual(shown.map((project) => project.shard), [1, 1, 1, 2, 2])
  })

  it('lists, shows and deletes projects', async () => {
    const app = await pooled(program, 'short lived')
    const listed = await projects(program, 'list')
    assert.ok(listed.some((project) => project.ref === app.ref && project.name === 'short lived'))
    assert.equal((await projects(program, 'show', app.ref)).tenancy, 'pooled')
    await command(['projects', 'delete', app.ref, '--yes', '--data', program.data])
    assert.ok(!(await projects(program, 'list')).some((project) => project.ref === app.ref))
    const gone = await fetch(`${app.url}/rest/v1/todos`, { headers: { apikey: app.anonKey } })
    assert.ok([401, 404].includes(gone.status), `${gone.status}`)
  })

  it('writes what a front end needs', async () => {
    const app = await pooled(program, 'front end', null)
    const env = async (format) => {
      const { stdout } = await command(['projects', 'env', app.ref, '--format', format, '--data', program.data])
      return stdout
    }
    const vite = await env('vite')
    assert.match(vite, new RegExp(`^VITE_SUPABASE_URL=\\S*${app.ref}`, 'm'))
    assert.match(vite, new RegExp(`^VITE_SUPABASE_ANON_KEY=${app.anonKey}$`, 'm'))
    assert.match(vite, new RegExp(`^VITE_APP_ID=${app.appId}$`, 'm'))
    assert.ok(!vite.includes(app.serviceKey), 'the service key stays out of a browser')
    const next = await env('next')
    assert.match(next, /^NEXT_PUBLIC_SUPABASE_URL=/m)
    assert.match(next, /^SUPABASE_SERVICE_ROLE_KEY=/m)
    assert.match(next, /^SUPABASE_JWT_SECRET=/m)
  })

  it('is told every mistake of a model by its path, and nothing is applied', async () => {
    const app = await pooled(program, 'mistaken', null)
    const cases = [
      [entity([{ name: 'a', type: 'varchar' }]), 'entities[0].columns[0].type'],
      [entity([{ name: 'id', type: 'uuid' }]), 'entities[0].columns[0].name'],
      [entity([{ name: 'x'.repeat(64), type: 'text' }]), 'entities[0].columns[0].name'],
      [entity([{ name: 'n', type: 'integer', default: 'many' }]), 'entities[0].columns[0].default'],
      [entity([{ name: 'a', type: 'text' }, { name: 'a', type: 'text' }]), 'entities[0].columns[1].name'],
      [entity([{ name: 'r', type: 'uuid', references: 'nowhere' }]), 'entities[0].columns[0].references'],
      [entity([], 'no; drop table x'), 'entities[0].name'],
    ]
    for (const [model, where] of cases) {
      model.entities.push({ name: 'innocent' })
      const { code, stderr, stdout } = await apply(app, model)
      assert.notEqual(code, 0)
      assert.ok((stderr + stdout).includes(where), `${where}: ${stderr}`)
    }
    const service = client(app, app.serviceKey)
    assert.equal((await service.from('innocent').select('*')).error.code, 'PGRST205')
  })

  it('changes tables without losing rows, and asks before it does', async () => {
    const app = await pooled(program, 'changing', null)
    assert.equal((await apply(app, entity([{ name: 'text', type: 'text' }]))).code, 0)
    const { supabase, user } = await member(app, 'writer')
    const insert = await supabase.from('notes').insert([{ user_id: user.id, text: 'kept' }])
    assert.equal(insert.error, null)

    const renamed = entity([
      { name: 'body', type: 'text', renamed_from: 'text' },
      { name: 'stars', type: 'integer', default: 0, required: true },
    ])
    assert.equal((await apply(app, renamed)).code, 0)
    const seen = async () => (await supabase.from('notes').select('body, stars')).data
    const rows = await until('the new columns are served', seen, 10)
    assert.deepEqual(rows, [{ body: 'kept', stars: 0 }])

    const smaller = entity([{ name: 'stars', type: 'integer', default: 0, required: true }])
    const refused = await apply(app, smaller)
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /allow-destructive/)
    assert.deepEqual(await seen(), [{ body: 'kept', stars: 0 }])
    assert.equal((await apply(app, smaller, '--allow-destructive')).code, 0)
    await until('the column is gone', async () => (await supabase.from('notes').select('body')).error?.code === '42703', 10)
  })

  it('finds everything after a restart', async () => {
    const app = await pooled(program, 'lasting')
    const { email } = await member(app, 'lasting')
    assert.equal((await program.stop('SIGTERM')).code, 0)
    await answering(program.launch())
    const { error } = await client(app).auth.signInWithPassword({ email, password: 'correct-horse-battery' })
    assert.equal(error, null)
  })

  it('makes a dedicated project that psql reaches by its name', async () => {
    const project = await projects(program, 'create', 'own server', '--tenancy', 'dedicated')
    const keys = await projects(program, 'keys', project.ref)
    const port = program.args[program.args.indexOf('--db-port') + 1]
    const url = `postgresql://postgres.${project.ref}:${keys.database_password}@127.0.0.1:${port}/postgres`
    assert.equal(await psql(url, 'select current_user'), 'postgres')
    await psql(url, 'create table public.things (id int primary key); grant select on public.things to anon')
    const app = { url: `${program.url}/p/${project.ref}`, anonKey: keys.anon_key }
    const things = await until('the table is served', async () => (await client(app).from('things').select('*')).data, 10)
    assert.deepEqual(things, [])
    await assert.rejects(psql(url.replace(`postgres.${project.ref}`, 'postgres.aaaaaaaaaaaaaaaaaaaa'), 'select 1'))
  })
})

describe('the developer with a local stack', () => {
  let program

  before(async () => {
    program = await start({ fixture: 'todo' })
  })
  after(() => cleanUp(program))

  it('resets the database to migrations and seed', async () => {
    const { DB_URL } = program.env
    await psql(DB_URL, "insert into public.notices (body) values ('passing'); create table public.scrap (id int)")
    await command(['db', 'reset', '--workdir', program.dir])
    assert.equal(await psql(DB_URL, 'select string_agg(body, \',\' order by id) from public.notices'), 'welcome,be kind')
    assert.equal(await psql(DB_URL, "select to_regclass('public.scrap') is null"), 't')
    const app = { url: program.env.API_URL, anonKey: program.env.ANON_KEY }
    const rows = await until('the API serves the new database', async () => (await client(app).from('notices').select('body')).data)
    assert.equal(rows.length, 2)
  })

  it('asks the doctor', async () => {
    const { stdout, code } = await command(['doctor', '--workdir', program.dir], { allowFailure: true })
    assert.match(stdout, /PostgreSQL/i)
    assert.ok(code === 0 || /port/i.test(stdout))
  })
})
