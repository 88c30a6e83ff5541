// Files of 200 MB go through without being held, several writers of one name leave one whole file, and who reads what is
// deleted or overwritten gets all of what was there.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import { after, before, describe, it } from 'node:test'
import { cleanUp } from '../lib/program.mjs'
import { startWith } from '../lib/tenancies.mjs'

const BYTES = 200e6
const GROWTH_MAX_KB = 48 * 1024
const hash = (bytes) => createHash('md5').update(bytes).digest('hex')

describe('files under contention', () => {
  let program, base, key

  before(async () => {
    program = await startWith('[storage]\nfile_size_limit = "500MiB"\n')
    base = new URL(`${program.env.API_URL}/storage/v1`)
    key = program.env.SERVICE_ROLE_KEY
    const made = await answerOf(send('POST', '/bucket', { 'content-type': 'application/json' }, JSON.stringify({ name: 'files' })))
    assert.equal(made.status, 200, made.body)
  })
  after(() => cleanUp(program))

  function send(method, path, headers = {}, body) {
    const options = { method, host: base.hostname, port: base.port, path: base.pathname + path, headers: { authorization: `Bearer ${key}`, ...headers }, agent: false }
    const request = http.request(options)
    if (body !== null) request.end(body)
    return request
  }

  const answerOf = (request) =>
    new Promise((resolve, reject) => {
      request.on('error', reject)
      request.on('response', (response) => {
        const digest = createHash('md5')
        const parts = []
        let length = 0
        response.on('data', (part) => {
          digest.update(part)
          length += part.length
          if (length < 10_000) parts.push(part)
        })
        response.on('end', () => resolve({ status: response.statusCode, length, md5: digest.digest('hex'), body: Buffer.concat(parts).toString() }))
        response.on('error', reject)
      })
    })

  const put = (name, body, headers) => answerOf(send('POST', `/object/files/${name}`, { 'content-type': 'text/plain', 'content-length': body.length, ...headers }, body))
  const get = (name) => answerOf(send('GET', `/object/authenticated/files/${name}`))
  const peak = () => Number(fs.readFileSync(`/proc/${program.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)[1])

  it('holds no large file, coming or going', async () => {
    const piece = randomBytes(1 << 20)
    const before = peak()
    const request = send('POST', '/object/files/large', { 'content-type': 'text/plain' }, null)
    const answered = answerOf(request)
    const digest = createHash('md5')
    for (let sent = 0; sent < BYTES; sent += piece.length) {
      digest.update(piece)
      if (!request.write(piece)) await new Promise((resolve) => request.once('drain', resolve))
    }
    request.end()
    assert.equal((await answered).status, 200)
    const read = await get('large')
    assert.deepEqual([read.status, read.md5], [200, digest.digest('hex')])
    assert.ok(peak() - before < GROWTH_MAX_KB, `grew by ${peak() - before} KB`)
  })

  it('lets one of several writers of a new name win, whole', async () => {
    const bodies = Array.from({ length: 6 }, () => randomBytes(2_000_000))
    const answers = await Promise.all(bodies.map((body) => put('raced', body)))
    const winners = bodies.filter((_, at) => answers[at].status === 200)
    assert.equal(winners.length, 1, JSON.stringify(answers))
    for (const loser of answers.filter(({ status }) => status !== 200)) assert.equal(JSON.parse(loser.body).error, 'Duplicate')
    assert.equal((await get('raced')).md5, hash(winners[0]))
  })

  it('lets writers who overwrite all succeed, and leaves one of them whole', async () => {
    const bodies = Array.from({ length: 6 }, () => randomBytes(1_000_000))
    const answers = await Promise.all(bodies.map((body) => put('overwritten', body, { 'x-upsert': 'true' })))
    assert.deepEqual(answers.map(({ status }) => status), bodies.map(() => 200))
    assert.ok(bodies.map(hash).includes((await get('overwritten')).md5))
  })

  it('shows readers old bytes or new ones, never a mixture', async () => {
    const bodies = Array.from({ length: 8 }, () => randomBytes(400_000))
    assert.equal((await put('changing', bodies[0])).status, 200)
    const known = new Set(bodies.map(hash))
    let writing = true
    const writer = (async () => {
      for (const body of bodies) assert.equal((await put('changing', body, { 'x-upsert': 'true' })).status, 200)
      writing = false
    })()
    let reads = 0
    while (writing || reads < 20) {
      const read = await get('changing')
      assert.deepEqual([read.status, known.has(read.md5)], [200, true])
      reads += 1
    }
    await writer
  })

  it('gives a reader all of a file that is deleted meanwhile', async () => {
    const request = send('GET', '/object/authenticated/files/large')
    const response = await new Promise((resolve, reject) => request.on('response', resolve).on('error', reject))
    const deleted = await answerOf(send('DELETE', '/object/files/large'))
    assert.equal(deleted.status, 200, deleted.body)
    assert.equal((await get('large')).status, 400)
    let length = 0
    for await (const part of response) length += part.length
    assert.equal(length, Number(response.headers['content-length']))
  })
})
