// PostgreSQL dies or restarts under load: requests fail clean meanwhile, and recover without our help.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cleanUp, postmasters, start, until } from '../lib/program.mjs'
import { member, rest } from '../lib/client.mjs'

describe('PostgreSQL goes away under load', () => {
  let program, app, writer

  before(async () => {
    program = await start({ fixture: 'todo' })
    app = { url: program.env.API_URL, anonKey: program.env.ANON_KEY, serviceKey: program.env.SERVICE_ROLE_KEY }
    writer = await member(app, 'writer')
  })
  after(() => cleanUp(program))

  const insert = (text) =>
    rest(app, 'todos', {
      method: 'POST',
      bearer: writer.session.access_token,
      body: JSON.stringify([{ user_id: writer.user.id, text, completed: false }]),
    })

  // The postmaster that holds the project (the platform has one of its own for the catalog).
  const holding = () => {
    const all = postmasters(program.dir)
    return all.filter(({ dir }) => !/\/system(\/|$)/.test(dir)).length
      ? all.filter(({ dir }) => !/\/system(\/|$)/.test(dir))
      : all
  }

  for (const [name, signal] of [
    ['a fast restart', 'SIGINT'],
    ['kill -9 of the postmaster', 'SIGKILL'],
  ]) {
    it(`fails clean and recovers from ${name}`, async () => {
      const acknowledged = []
      const answers = []
      let stop = false
      const load = [1, 2, 3, 4, 5, 6].map(async (worker) => {
        for (let n = 0; !stop; n += 1) {
          const text = `${name} ${worker} ${n}`
          const answer = await insert(text)
          answers.push(answer)
          if (answer.status === 201) acknowledged.push(text)
          else await new Promise((resolve) => setTimeout(resolve, 10))
        }
      })
      await until('load is running', () => acknowledged.length > 50)
      const victims = holding()
      assert.ok(victims.length > 0, 'a postmaster was found')
      victims.forEach(({ pid }) => process.kill(pid, signal))
      const old = new Set(victims.map(({ pid }) => pid))
      await until('another postmaster runs', () => holding().some(({ pid }) => !old.has(pid)))
      const before = acknowledged.length
      await until('writes succeed again', () => acknowledged.length > before + 50, 30)
      stop = true
      await Promise.all(load)

      for (const answer of answers.filter(({ status }) => status !== 201)) {
        assert.ok([500, 502, 503, 504].includes(answer.status), `status ${answer.status}: ${JSON.stringify(answer.body)}`)
        assert.equal(typeof answer.body, 'object', 'an error has a JSON body')
        assert.ok(answer.body.message, JSON.stringify(answer.body))
        assert.doesNotMatch(JSON.stringify(answer.body), /\/tmp|\.s\.PGSQL|supabase_admin/, 'nothing internal is told')
      }
      const kept = await rest(app, `todos?select=text&text=like.${encodeURIComponent(`${name} *`)}`, { key: app.serviceKey })
      assert.equal(kept.status, 200)
      const found = new Set(kept.body.map((row) => row.text))
      assert.deepEqual(acknowledged.filter((text) => !found.has(text)), [], 'acknowledged rows are there')
      assert.equal(program.exited, false)
    })
  }

  it('survives the death of one backend', async () => {
    const crowd = Array.from({ length: 20 }, (_, n) => insert(`crowd ${n}`))
    await Promise.all(crowd)
    const [{ pid }] = holding()
    const { execFileSync } = await import('node:child_process')
    const children = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', `${pid}`]).toString().trim().split('\n')
    const backend = children.find((line) => /authenticator/.test(line))
    assert.ok(backend, `a backend of the data API was found: ${children}`)
    process.kill(Number(backend.trim().split(/\s+/)[0]), 'SIGKILL') // PostgreSQL restarts all its backends
    await until('writes succeed again', async () => (await insert('after the crash')).status === 201)
  })
})
