// The same settings for a project with a database of its own and for one in a shard: what holds for one has to hold
// for the other.

import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { after, before, describe } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import { pooled, serve } from './platform.mjs'
import { cleanUp, command, freePort, scratch, start, until } from './program.mjs'

/** What `rowhouse start` offers, as an app sees it. */
export const local = ({ env }) => ({
  url: env.API_URL,
  anonKey: env.ANON_KEY,
  serviceKey: env.SERVICE_ROLE_KEY,
  mail: env.MAILPIT_URL,
  db: env.DB_URL,
})

/** `rowhouse start` with a config.toml. */
export function startWith(toml, extra = []) {
  const dir = scratch()
  fs.mkdirSync(path.join(dir, 'supabase'))
  fs.writeFileSync(path.join(dir, 'supabase/config.toml'), toml)
  return start({ dir, extra })
}

/** A pooled project with the same settings, on a platform that may call this machine. */
export async function poolWith(toml, extra = []) {
  const program = await serve({ extra: ['--outbound-anywhere', ...extra] })
  const app = await pooled(program, 'pooled', null)
  const file = path.join(program.dir, 'settings.toml')
  fs.writeFileSync(file, toml)
  await command(['projects', 'settings', 'set', app.ref, '--file', file, '--data', program.data])
  return { program, app }
}

/**
 * The same tests for both tenancies; `toml` is asked once the suite runs, `tests` gets what yields the app. With `mail`
 * the pooled project sends to the catcher of a local stack beside it; `extra` yields more arguments of the program.
 */
export function inBothTenancies(name, toml, tests, { mail = false, extra = () => [] } = {}) {
  describe(`${name}, in a database of its own`, () => {
    const scene = {}
    before(async () => {
      const program = await startWith(await toml(), extra())
      Object.assign(scene, { program, app: local(program), isPooled: false })
    })
    after(() => cleanUp(scene.program))
    tests(scene)
  })
  describe(`${name}, in a shard`, () => {
    const scene = {}
    let box
    before(async () => {
      let settings = await toml()
      if (mail) {
        const port = await freePort()
        box = await startWith(`[inbucket]\nsmtp_port = ${port}\n`)
        settings += `[auth.email.smtp]\nhost = "127.0.0.1"\nport = ${port}\nadmin_email = "app@example.com"\n`
      }
      Object.assign(scene, await poolWith(settings, extra()), { isPooled: true })
      if (box) scene.app.mail = local(box).mail
    })
    after(() => cleanUp(scene.program, box))
    tests(scene)
  })
}

/** A client that keeps its session and its verifiers, as in a browser. */
export function keeper(app, options = {}) {
  const items = new Map()
  const storage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  }
  return createClient(app.url, app.anonKey, {
    auth: { storage, persistSession: true, autoRefreshToken: false, detectSessionInUrl: false, ...options },
    realtime: { transport: WebSocket },
  })
}

/** What a call of the client yields; its error is thrown. */
export function ok({ data, error }) {
  if (error) throw error
  return data
}

/** The newest message to an address, once the catcher has so many. */
export async function mailTo(app, address, count = 1) {
  const api = async (route) => (await fetch(`${app.mail}/api/v1/${route}`)).json()
  const found = await until(`mail to ${address}`, async () => {
    const { messages } = await api(`search?query=${encodeURIComponent(`to:"${address}"`)}`)
    return messages.length >= count && messages
  })
  return api(`message/${found[0].ID}`)
}

export const codeIn = (mail) => mail.Text.match(/\b\d{6}\b/)[0]
export const linkIn = (mail) => mail.HTML.match(/href="([^"]*\/verify\?[^"]*)"/)[1].replaceAll('&amp;', '&')

/** Where a link leads; the answer is not followed. */
export async function follow(link, options = {}) {
  const answer = await fetch(link, { redirect: 'manual', ...options })
  return { status: answer.status, location: answer.headers.get('location') ?? '', text: await answer.text() }
}

/** A server on this machine that keeps what it is asked and answers what `answer` says. */
export class Listener {
  asked = []

  static async listen(answer) {
    const listener = new Listener()
    listener.answer = answer
    listener.server = http.createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const asked = { method: request.method, path: request.url, headers: request.headers, body }
      listener.asked.push(asked)
      const { status = 200, headers = { 'content-type': 'application/json' }, json, text } = await listener.answer(asked)
      response.writeHead(status, headers)
      response.end(json === undefined ? text : JSON.stringify(json))
    })
    listener.server.listen(0, '127.0.0.1')
    await once(listener.server, 'listening')
    listener.url = `http://127.0.0.1:${listener.server.address().port}`
    return listener
  }

  last() {
    return this.asked.at(-1)
  }

  async close() {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}
