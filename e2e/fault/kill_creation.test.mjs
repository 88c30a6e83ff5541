// The program is killed while projects are being made: after the next start each is whole, or not there.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cleanUp, command, privately, until } from '../lib/program.mjs'
import { rest } from '../lib/client.mjs'
import { answering, describe as keysOf, pooled, projects, serve } from '../lib/platform.mjs'

describe('kill -9 during project creation', () => {
  let program

  before(async () => {
    program = await serve()
  })
  after(() => cleanUp(program))

  const list = async () => {
    const answer = await projects(program, 'list')
    return Array.isArray(answer) ? answer : answer.projects
  }

  for (const [tenancy, delays] of [
    ['pooled', [0, 5, 10, 15, 20, 30, 40, 60]],
    ['dedicated', [20, 100, 300]],
  ]) {
    it(`leaves ${tenancy} projects whole or not there`, async () => {
      for (const [n, delay] of delays.entries()) {
        const name = `${tenancy} ${n}`
        const args = ['projects', 'create', name, '--tenancy', tenancy, '--data', program.data, '-o', 'json']
        const creation = command(args, { allowFailure: true })
        // The child needs a moment to reach the program; the delays cover the steps of the creation.
        await new Promise((resolve) => setTimeout(resolve, 15 + delay))
        program.child.kill('SIGKILL')
        await program.ended
        await creation
        await answering(program.launch())
      }
      const settled = await until('nothing is half there', async () => {
        const all = await list()
        const half = all.filter((project) => project.status !== 'ACTIVE_HEALTHY')
        if (half.length > 0) throw new Error(JSON.stringify(half))
        return all
      })
      for (const project of settled) {
        const app = await keysOf(program, project)
        const { status, body } = await rest(app, '')
        assert.equal(status, 200, `${project.name}: ${JSON.stringify(body)}`)
        const health = await fetch(`${app.url}/auth/v1/health`, { headers: { apikey: app.anonKey } })
        assert.equal(health.status, 200)
      }
      const made = (kind) => settled.filter((project) => project.tenancy === kind)
      const schemas = "select count(*) from pg_namespace where nspname ~ '^app_[0-9]+$'"
      if (made('pooled').length > 0) {
        assert.equal(await privately(program, 'system', 'shard_001', schemas), `${made('pooled').length}`, 'no schema is left over')
      }
      const folders = fs.readdirSync(path.join(program.data, 'instances'))
      assert.deepEqual(folders.sort(), made('dedicated').map((project) => project.ref).sort(), 'no server is left over')
    })
  }

  it('still makes projects afterwards', async () => {
    const app = await pooled(program, 'afterwards')
    const { status } = await rest(app, 'todos')
    assert.equal(status, 200)
  })
})
