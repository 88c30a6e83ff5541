// `rowhouse serve` with projects made through its own commands.

import path from 'node:path'
import { command, fixtures, freePort, Program, scratch } from './program.mjs'

/** A platform in a folder of its own, answering. */
export async function serve({ extra = [] } = {}) {
  const dir = scratch()
  const [api, db] = [await freePort(), await freePort()]
  const args = ['serve', '--data', path.join(dir, 'data'), '--api-port', `${api}`, '--db-port', `${db}`, ...extra]
  const program = new Program(args, dir)
  program.data = path.join(dir, 'data')
  program.url = `http://127.0.0.1:${api}`
  await answering(program.launch())
  return program
}

export async function answering(program) {
  await program.ready('rowhouse serve answers', async () => (await fetch(`${program.url}/health`)).ok)
  return program
}

/** A command on the platform's projects; its JSON answer. */
export async function projects(program, ...args) {
  const { stdout } = await command(['projects', ...args, '--data', program.data, '-o', 'json'])
  return stdout.trim() ? JSON.parse(stdout) : null
}

/** A new pooled project with the entities of a fixture, as an app sees it. */
export async function pooled(program, name, entities = 'todos.json') {
  const project = await projects(program, 'create', name, '--tenancy', 'pooled')
  if (entities) {
    const file = path.join(fixtures, 'entities', entities)
    await command(['entities', 'apply', file, '--project', project.ref, '--data', program.data])
  }
  return describe(program, project)
}

export async function describe(program, project) {
  const keys = await projects(program, 'keys', project.ref)
  return {
    ref: project.ref,
    appId: project.app_id,
    url: `${program.url}/p/${project.ref}`,
    bareUrl: program.url,
    anonKey: keys.anon_key,
    serviceKey: keys.service_role_key,
    publishableKey: keys.publishable_key,
    secretKey: keys.secret_key,
    jwtSecret: keys.jwt_secret,
  }
}
