// What the data API does beyond PostgREST, with the published client where it can: long filters, batches and
// explanations.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import { cleanUp, psql, start } from '../lib/program.mjs'
import { rest } from '../lib/client.mjs'

let program, app

before(async () => {
  program = await start({ fixture: 'faibric' })
  app = { url: program.env.API_URL, anonKey: program.env.ANON_KEY, serviceKey: program.env.SERVICE_ROLE_KEY }
  await psql(program.env.DB_URL, `insert into notes (word, n) select 'w' || i, i from generate_series(1, 20000) as i`)
  await psql(program.env.DB_URL, 'alter table notes enable row level security')
  await psql(program.env.DB_URL, 'create policy readable on notes for select using (n <= 12000)')
  await psql(program.env.DB_URL, 'create policy writable on notes for insert with check (n < 0)')
})

after(() => cleanUp(program))

/** A fetch for supabase-js that sends reads whose URL would be too long with the query in the body. */
function longReads(method = 'QUERY') {
  return (input, init = {}) => {
    const url = new URL(input)
    if ((init.method ?? 'GET') !== 'GET' || url.href.length < 4000) return fetch(input, init)
    const headers = new Headers(init.headers)
    headers.set('content-type', 'application/x-www-form-urlencoded')
    if (method === 'POST') headers.set('x-http-method-override', 'GET')
    const body = url.search.slice(1)
    url.search = ''
    return fetch(url, { ...init, method, headers, body })
  }
}

describe('long filters', () => {
  const ids = Array.from({ length: 10_000 }, (_, i) => i + 1)

  for (const method of ['QUERY', 'POST']) {
    it(`ten thousand ids by ${method}`, async () => {
      const supabase = createClient(app.url, app.anonKey, {
        auth: { persistSession: false },
        realtime: { transport: WebSocket },
        global: { fetch: longReads(method) },
      })
      const { data, error, count } = await supabase
        .from('notes').select('id', { count: 'exact' }).in('id', ids).order('id', { ascending: false }).limit(3)
      assert.equal(error, null)
      assert.deepEqual([data.map((row) => row.id), count], [[10_000, 9_999, 9_998], 10_000])
      const single = await supabase.from('notes').select('word').in('id', ids).eq('id', 7).single()
      assert.deepEqual(single.data, { word: 'w7' })
    })
  }

  it('a query that is too long is a 413', async () => {
    const { status, body } = await rest(app, 'notes', {
      method: 'QUERY', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `word=eq.${'x'.repeat(3 << 20)}`,
    })
    assert.deepEqual([status, body.code], [413, 'PGRST102'])
  })

  it('browsers may send it', async () => {
    const answer = await fetch(`${app.url}/rest/v1/notes`, {
      method: 'OPTIONS', headers: { origin: 'http://x.test', 'access-control-request-method': 'QUERY' },
    })
    assert.match(answer.headers.get('access-control-allow-methods'), /\bQUERY\b/)
  })
})

describe('batches', () => {
  const send = (operations, key = app.serviceKey) =>
    rest(app, '', { key, method: 'POST', body: JSON.stringify(operations) })

  it('write and read in one transaction', async () => {
    const { status, body } = await send([
      { method: 'POST', path: '/notes?select=n', prefer: 'return=representation', body: [{ word: 'batch', n: 1 }, { word: 'batch', n: 2 }] },
      { method: 'PATCH', path: '/notes?word=eq.batch&n=eq.2', body: { n: 3 } },
      { method: 'GET', path: '/notes?word=eq.batch&select=n&order=n' },
      { method: 'DELETE', path: '/notes?word=eq.batch', prefer: 'count=exact' },
    ])
    assert.equal(status, 200, JSON.stringify(body))
    assert.deepEqual(body.map((result) => result.status), [201, 204, 200, 204])
    assert.deepEqual(body[2].body, [{ n: 1 }, { n: 3 }])
    assert.equal(body[3].headers['content-range'], '*/2')
  })

  it('all or nothing, under one role', async () => {
    const { status, body } = await send([
      { method: 'POST', path: '/notes', body: { word: 'lost', n: -1 } },
      { method: 'POST', path: '/notes', body: { word: 'lost', n: 1 } },
    ], app.anonKey)
    assert.deepEqual([status, body.code, body.operation], [401, '42501', 1])
    assert.equal(await psql(program.env.DB_URL, `select count(*) from notes where word = 'lost'`), '0')
  })
})

describe('why', () => {
  it('tells the service key what a role would meet', async () => {
    const accept = (role) => ({ accept: `application/vnd.rowhouse.explain+json; for="${role}"` })
    const empty = await rest(app, 'notes?n=gt.15000&select=id', { key: app.serviceKey, headers: accept('anon') })
    assert.equal(empty.body.verdict, 'empty')
    assert.ok(empty.body.relations[0].policies.some((policy) => policy.name === 'readable'))
    const seen = await rest(app, 'notes?select=id&limit=5', { key: app.serviceKey, headers: accept('authenticated') })
    assert.deepEqual([seen.body.verdict, seen.body.rows], ['allowed', 5])
    assert.ok(seen.body.plan[0].Plan)
    await psql(program.env.DB_URL, 'revoke select on notes from anon')
    const denied = await rest(app, 'notes', { key: app.serviceKey, headers: accept('anon') })
    assert.equal(denied.body.verdict, 'denied')
    assert.match(denied.body.reasons.join(), /role anon has no SELECT on public.notes \(grant it with: grant select on public.notes to anon\)/)
    const refused = await rest(app, 'notes', { headers: accept('service_role') })
    assert.equal(refused.status, 403)
  })
})
