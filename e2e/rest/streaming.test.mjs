// Results of 200 MB pass through without being held, and clients that leave or do not read cost nothing for long;
// through the gateway and through the stand-alone `rowhouse rest`.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import { cleanUp, freePort, postmasters, psql, Program, start, until } from '../lib/program.mjs'

const BYTES = 200e6
const GROWTH_MAX_KB = 32 * 1024

// A thousand rows of 200 KB: below the row limit that projects begin with.
const SQL = `
  create view public.big as select n, repeat(md5(n::text), 6400) as pad from generate_series(1, 1000) as n;
  grant select on public.big to anon, service_role;
  create table public.small (id int primary key, name text not null, at timestamptz default now());
  grant all on public.small to anon, service_role;
  alter role service_role set statement_timeout = '2min';
  insert into public.small select n, 'name ' || n % 7 from generate_series(1, 50) as n`

let program, alone, app, socket

before(async () => {
  program = await start()
  const { API_URL, SERVICE_ROLE_KEY, JWT_SECRET } = program.env
  app = { url: API_URL, key: SERVICE_ROLE_KEY }
  await psql(program.env.DB_URL, SQL)
  const server = postmasters(program.dir).find(({ dir }) => dir.includes('/local/') || dir.includes('/instances/'))
  const lines = fs.readFileSync(path.join(server.dir, 'postmaster.pid'), 'utf8').split('\n')
  socket = `host=${lines[4]} port=${lines[3]} user=supabase_admin dbname=postgres`
  const port = await freePort()
  const config = path.join(program.dir, 'rest.conf')
  fs.writeFileSync(
    config,
    `db-uri = "postgresql:///postgres?host=${lines[4]}&port=${lines[3]}&user=authenticator"
db-schemas = "public"
db-anon-role = "anon"
jwt-secret = "${JWT_SECRET}"
db-pool = 2
server-port = ${port}
server-host = "127.0.0.1"
server-stream-stall-timeout = 1
`,
  )
  alone = new Program(['rest', config], program.dir).launch()
  alone.url = `http://127.0.0.1:${port}`
  await alone.ready('rowhouse rest answers', async () => (await fetch(`${alone.url}/small?limit=1`)).ok)
  await until('the new tables are known', async () => (await get('small?limit=1')).ok)
})

after(async () => {
  await alone?.stop()
  await cleanUp(program)
})

const headers = () => ({ apikey: app.key, authorization: `Bearer ${app.key}` })
const get = (target, more = {}) => fetch(`${app.url}/rest/v1/${target}`, { headers: { ...headers(), ...more } })
const getAlone = (target, more = {}) =>
  fetch(`${alone.url}/${target}`, { headers: { authorization: `Bearer ${app.key}`, ...more } })

const memory = (pid, name) => {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1])
}

/** By how many kilobytes a process's memory rises above where it was, at its highest, during some work. */
async function growth(pid, work) {
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5')
  const before = memory(pid, 'VmRSS')
  await work()
  return memory(pid, 'VmHWM') - before
}

/** Reads an answer without keeping it. */
async function drain(response) {
  let bytes = 0
  for await (const chunk of response.body) bytes += chunk.length
  return bytes
}

describe('large results', () => {
  const programs = [
    ['the gateway', () => program.pid, get],
    ['rowhouse rest', () => alone.pid, getAlone],
  ]
  for (const [name, pid, ask] of programs) {
    for (const accept of ['application/json', 'text/csv', 'application/x-ndjson']) {
      it(`${name} streams 200 MB of ${accept}`, async () => {
        await drain(await ask('small'))
        const grown = await growth(pid(), async () => {
          const response = await ask('big', { accept })
          assert.equal(response.status, 200, response.status === 200 ? '' : await response.text())
          const bytes = await drain(response)
          assert.ok(bytes > BYTES, `${bytes} bytes`)
          const length = response.headers.get('content-length')
          if (length) assert.equal(Number(length), bytes)
          else assert.equal(accept, 'application/x-ndjson')
        })
        console.log(`# ${name}, ${accept}: ${grown} kB`)
        assert.ok(grown < GROWTH_MAX_KB, `grew by ${grown} kB`)
      })
    }
  }

  it('a client that goes away or does not read frees its connection', async () => {
    const busy = `select count(*) from pg_stat_activity where usename = 'authenticator' and state <> 'idle'`
    const freed = () => until('nothing runs', async () => (await psql(socket, busy)) === '0')
    for (let i = 0; i < 4; i++) {
      const controller = new AbortController()
      const response = await fetch(`${app.url}/rest/v1/big`, { headers: headers(), signal: controller.signal })
      await response.body.getReader().read()
      controller.abort()
    }
    await freed()
    // More silent readers than the pool has connections.
    const silent = Array.from({ length: 4 }, () => {
      const client = net.connect(Number(new URL(alone.url).port), '127.0.0.1')
      client.write(`GET /big HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${app.key}\r\n\r\n`)
      client.on('error', () => {})
      return client.pause()
    })
    await until('a statement runs', async () => (await psql(socket, busy)) !== '0')
    await freed()
    assert.equal((await getAlone('small?limit=1')).status, 200)
    silent.forEach((client) => client.destroy())
  })
})

describe('through supabase-js', () => {
  const client = (more = {}) =>
    createClient(app.url, app.key, { auth: { persistSession: false }, realtime: { transport: WebSocket }, global: { headers: more } })

  it('a client that has an answer gets 304', async () => {
    const seen = []
    const fetchKeeping = async (input, init) => {
      const response = await fetch(input, init)
      seen.push(response)
      return response
    }
    const supabase = (more) =>
      createClient(app.url, app.key, { auth: { persistSession: false }, realtime: { transport: WebSocket }, global: { headers: more, fetch: fetchKeeping } })
    const { data } = await supabase({}).from('small').select('id').order('id').limit(3)
    assert.deepEqual(data, [{ id: 1 }, { id: 2 }, { id: 3 }])
    const etag = seen[0].headers.get('etag')
    assert.match(etag, /^"[\w-]{24}"$/)
    const again = await supabase({ 'if-none-match': etag }).from('small').select('id').order('id').limit(3)
    assert.equal(again.status, 304)
    const other = await supabase({ 'if-none-match': etag }).from('small').select('id').order('id').limit(4)
    assert.equal(other.data.length, 4)
  })

  it('pages are followed by their cursors', async () => {
    const read = []
    let cursor = null
    let seen
    const following = createClient(app.url, app.key, {
      auth: { persistSession: false },
      realtime: { transport: WebSocket },
      global: {
        headers: { prefer: 'pagination=keyset' },
        fetch: async (input, init) => {
          const url = new URL(input)
          if (cursor) url.searchParams.set('cursor', cursor)
          return (seen = await fetch(url, init))
        },
      },
    })
    do {
      const { data, error } = await following.from('small').select('id,name').order('name', { ascending: false }).limit(7)
      assert.equal(error, null)
      assert.equal(seen.headers.get('preference-applied'), 'pagination=keyset')
      read.push(...data)
      cursor = seen.headers.get('next-cursor')
    } while (cursor)
    const { data: whole } = await client().from('small').select('id,name').order('name', { ascending: false }).order('id')
    assert.equal(read.length, 50)
    assert.deepEqual(read, whole)
  })

  it('rows are written as lines and read as lines', async () => {
    const body = Array.from({ length: 1000 }, (_, n) => JSON.stringify({ id: 1000 + n, name: `é ${n}` })).join('\n')
    const posted = await fetch(`${app.url}/rest/v1/small`, {
      method: 'POST',
      headers: { ...headers(), 'content-type': 'application/x-ndjson', prefer: 'return=minimal' },
      body,
    })
    assert.equal(posted.status, 201)
    const { count } = await client().from('small').select('*', { head: true, count: 'exact' }).gte('id', 1000)
    assert.equal(count, 1000)
    const lines = (await (await get('small?select=id,name&id=gte.1000&order=id', { accept: 'application/x-ndjson' })).text()).split('\n')
    assert.equal(lines.pop(), '')
    assert.deepEqual(JSON.parse(lines[999]), { id: 1999, name: 'é 999' })
    await client().from('small').delete().gte('id', 1000)
  })
})
