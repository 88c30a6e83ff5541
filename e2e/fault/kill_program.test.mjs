// The program is killed outright while rows are written: what was acknowledged is there after the next start.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { alive, cleanUp, postmasters, relaunch, start, until } from '../lib/program.mjs'
import { client, member } from '../lib/client.mjs'

describe('kill -9 of the program during writes', () => {
  let program, app

  before(async () => {
    program = await start({ fixture: 'todo' })
    app = { url: program.env.API_URL, anonKey: program.env.ANON_KEY, serviceKey: program.env.SERVICE_ROLE_KEY }
  })
  after(() => cleanUp(program))

  it('loses nothing that was acknowledged, twice in a row', async () => {
    const { supabase, user } = await member(app, 'writer')
    const acknowledged = new Set()
    for (const round of [1, 2]) {
      let dead = false
      const write = async (worker) => {
        for (let n = 0; !dead; n += 1) {
          const text = `${round}-${worker}-${n}`
          const { error } = await supabase.from('todos').insert([{ user_id: user.id, text, completed: false }])
          if (!error) acknowledged.add(text)
        }
      }
      const writers = [1, 2, 3, 4].map(write)
      const enough = acknowledged.size + 100
      while (acknowledged.size < enough) await new Promise((resolve) => setTimeout(resolve, 5))
      const before = postmasters(program.dir)
      program.child.kill('SIGKILL')
      await program.ended
      dead = true
      await Promise.all(writers)

      await relaunch(program)
      const service = client(app, app.serviceKey)
      const found = new Set()
      for (let from = 0; ; from += 1000) {
        const { data, error } = await service.from('todos').select('text').order('id').range(from, from + 999)
        assert.equal(error, null)
        data.forEach((row) => found.add(row.text))
        if (data.length < 1000) break
      }
      const lost = [...acknowledged].filter((text) => !found.has(text))
      assert.deepEqual(lost, [])
      const orphans = before.filter(({ pid }) => alive(pid) && !postmasters(program.dir).some((now) => now.pid === pid))
      assert.deepEqual(orphans, [], 'a postmaster of the killed program is adopted or ended, not left over')
    }
    const fresh = await supabase.from('todos').insert([{ user_id: user.id, text: 'after', completed: false }])
    assert.equal(fresh.error, null)
  })

  it('leaves no PostgreSQL behind when it is stopped', async () => {
    const running = postmasters(program.dir)
    assert.ok(running.length > 0)
    assert.equal((await program.stop('SIGINT')).code, 0)
    // Its last act is to remove its pid file; the process itself ends a moment later.
    await until('PostgreSQL has ended', () => running.every(({ pid }) => !alive(pid)), 5)
  })
})
