// What no client of ours would send: broken HTTP, JSON and tokens, huge bodies, slow and silent connections.

import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, describe, it } from 'node:test'
import { cleanUp, start, until } from '../lib/program.mjs'
import { claims, member, rest, token } from '../lib/client.mjs'

let program, app, user

before(async () => {
  program = await start({ fixture: 'todo' })
  const { API_URL, ANON_KEY, SERVICE_ROLE_KEY, JWT_SECRET } = program.env
  app = { url: API_URL, anonKey: ANON_KEY, serviceKey: SERVICE_ROLE_KEY, jwtSecret: JWT_SECRET }
  user = await member(app, 'victim')
})

after(() => cleanUp(program))

const port = () => Number(new URL(app.url).port)

/** Sends bytes as they are; what came back until the server closed or the deadline passed. */
function raw(bytes, seconds = 5) {
  return new Promise((resolve) => {
    let answer = ''
    const socket = net.connect(port(), '127.0.0.1', () => socket.write(bytes))
    const done = () => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(seconds * 1000, done)
    socket.on('data', (data) => (answer += data))
    socket.on('error', done)
    socket.on('close', done)
  })
}

async function stillWell() {
  const { status } = await rest(app, 'notices?select=body')
  assert.equal(status, 200)
  assert.equal(program.exited, false)
}

describe('malformed HTTP', () => {
  const cases = [
    ['not HTTP at all', 'hello there\r\n\r\n'],
    ['binary', Buffer.from(Array.from({ length: 512 }, (_, n) => (n * 37) % 256))],
    ['a bad version', 'GET / HTTP/9.9\r\nhost: x\r\n\r\n'],
    ['a header without a colon', 'GET /rest/v1/ HTTP/1.1\r\nhost x\r\n\r\n'],
    ['two lengths that differ', 'POST /rest/v1/todos HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello'],
    ['a negative length', 'POST /rest/v1/todos HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n'],
    ['a bad chunk', 'POST /rest/v1/todos HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n'],
    ['a huge header', `GET /rest/v1/todos HTTP/1.1\r\nhost: x\r\nx-huge: ${'a'.repeat(1 << 20)}\r\n\r\n`],
    ['a huge request line', `GET /rest/v1/${'a'.repeat(1 << 20)} HTTP/1.1\r\nhost: x\r\n\r\n`],
  ]
  for (const [name, bytes] of cases) {
    it(`refuses ${name}`, async () => {
      const answer = await raw(bytes)
      if (answer) assert.match(answer, /^HTTP\/1\.[01] 4\d\d /)
      await stillWell()
    })
  }

  it('refuses paths that try to leave their place', async () => {
    const key = `apikey: ${app.anonKey}`
    for (const path of ['/rest/v1/../../etc/passwd', '/rest/v1/%2e%2e%2fauth', '/rest/v1/todos%00', '/rest/v1/%ff%fe', '//rest/v1/todos', '/p/../rest/v1/todos', '/p//rest/v1/todos']) {
      const answer = await raw(`GET ${path} HTTP/1.1\r\nhost: x\r\n${key}\r\nconnection: close\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, path)
    }
    await stillWell()
  })
})

describe('malformed JSON', () => {
  const bodies = ['{', '[1,2', '{"text":}', 'nul', '"\\ud800"', '', '{"a":1}{"b":2}', `${'['.repeat(20000)}`, '\u0000']

  it('is a 400 of the data API', async () => {
    for (const body of bodies.filter((body) => body !== '')) {
      const answer = await rest(app, 'todos', { method: 'POST', body, bearer: user.session.access_token })
      assert.equal(answer.status, 400, `${JSON.stringify(body).slice(0, 40)}: ${JSON.stringify(answer.body)}`)
      assert.ok(answer.body.code && answer.body.message)
    }
    await stillWell()
  })

  it('is a 400 of auth', async () => {
    for (const body of bodies) {
      const response = await fetch(`${app.url}/auth/v1/signup`, {
        method: 'POST',
        headers: { apikey: app.anonKey, 'content-type': 'application/json' },
        body,
      })
      const answer = await response.json()
      assert.equal(response.status, 400, `${JSON.stringify(body).slice(0, 40)}: ${JSON.stringify(answer)}`)
      assert.ok(answer.error_code)
    }
    await stillWell()
  })
})

describe('forged tokens', () => {
  const now = () => Math.floor(Date.now() / 1000)
  const payload = (more = {}) => ({ ...claims(user.session.access_token), exp: now() + 600, ...more })
  const cases = {
    'alg none': () => token(payload(), '', { alg: 'none', typ: 'JWT' }),
    'alg none, mixed case': () => token(payload(), 'x', { alg: 'nOnE', typ: 'JWT' }),
    'alg none as service_role': () => token(payload({ role: 'service_role' }), '', { alg: 'none', typ: 'JWT' }),
    'a wrong key': () => token(payload(), 'another-secret-that-is-long-enough-000'),
    'an empty key': () => token(payload(), ''),
    'an expired one': () => token(payload({ exp: now() - 120 }), app.jwtSecret),
    'one not yet valid': () => token(payload({ nbf: now() + 600 }), app.jwtSecret),
    'an algorithm that is not ours': () => token(payload(), app.jwtSecret, { alg: 'RS256', typ: 'JWT' }),
    'a changed payload': () => {
      const [header, , signature] = user.session.access_token.split('.')
      const body = Buffer.from(JSON.stringify(payload({ role: 'service_role' }))).toString('base64url')
      return `${header}.${body}.${signature}`
    },
    'a cut signature': () => user.session.access_token.slice(0, -4),
    'no token at all': () => 'not.a.token',
    'two parts': () => 'abc.def',
    'a huge one': () => `${'a'.repeat(4000)}.${'b'.repeat(4000)}.${'c'.repeat(4000)}`,
  }
  for (const [name, forge] of Object.entries(cases)) {
    it(`refuses ${name}`, async () => {
      const read = await rest(app, 'todos', { bearer: forge() })
      assert.equal(read.status, 401, JSON.stringify(read.body))
      assert.match(read.body.code, /^PGRST30[0-9]$/)
      if (name !== 'one not yet valid') {
        const response = await fetch(`${app.url}/auth/v1/user`, {
          headers: { apikey: app.anonKey, authorization: `Bearer ${forge()}` },
        })
        assert.ok([401, 403].includes(response.status), `auth: ${response.status}`)
      }
    })
  }

  it('refuses a role that the API may not take', async () => {
    for (const role of ['postgres', 'supabase_admin', 'supabase_auth_admin', 'no_such_role']) {
      const { status } = await rest(app, 'todos', { bearer: token(payload({ role }), app.jwtSecret) })
      assert.ok([400, 401, 403].includes(status), `${role}: ${status}`)
    }
    await stillWell()
  })

  it('refuses forged API keys', async () => {
    const key = token({ iss: 'supabase-demo', role: 'service_role', exp: 1983812996 }, 'wrong-secret-wrong-secret-wrong-secret')
    assert.equal((await rest(app, 'todos', { key })).status, 401)
    const none = token({ iss: 'supabase-demo', role: 'service_role', exp: 1983812996 }, '', { alg: 'none', typ: 'JWT' })
    assert.equal((await rest(app, 'todos', { key: none })).status, 401)
    const expired = token({ iss: 'supabase-demo', role: 'anon', exp: now() - 60 }, app.jwtSecret)
    assert.equal((await rest(app, 'todos', { key: expired })).status, 401)
  })
})

describe('huge bodies', () => {
  it('takes or refuses 10 MB cleanly in the data API', async () => {
    const text = 'x'.repeat(10 * 1024 * 1024)
    const answers = await Promise.all(
      [1, 2, 3, 4].map(() =>
        rest(app, 'todos', {
          method: 'POST',
          bearer: user.session.access_token,
          body: JSON.stringify([{ user_id: user.user.id, text, completed: false }]),
        }),
      ),
    )
    for (const { status, body } of answers) {
      assert.ok([201, 413].includes(status), `${status}: ${JSON.stringify(body)?.slice(0, 200)}`)
    }
    await rest(app, 'todos?completed=is.false', { method: 'DELETE', bearer: user.session.access_token })
    await stillWell()
  })

  it('refuses 10 MB in auth', async () => {
    const response = await fetch(`${app.url}/auth/v1/signup`, {
      method: 'POST',
      headers: { apikey: app.anonKey, 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'big@example.com', password: 'x'.repeat(10 * 1024 * 1024) }),
    })
    assert.equal(response.status, 413)
    await response.text()
    await stillWell()
  })

  it('refuses a body larger than any limit, told by its length', async () => {
    const head = `POST /rest/v1/todos HTTP/1.1\r\nhost: x\r\napikey: ${app.anonKey}\r\ncontent-type: application/json\r\ncontent-length: 999999999999\r\n\r\n[`
    assert.match(await raw(head, 10), /^HTTP\/1\.1 4\d\d /)
    await stillWell()
  })
})

describe('slow clients', () => {
  it('do not hold up others', async () => {
    const sockets = []
    for (let n = 0; n < 200; n += 1) {
      const socket = net.connect(port(), '127.0.0.1')
      socket.on('error', () => {})
      const body = n % 2 === 0
      socket.write(
        body
          ? `POST /rest/v1/todos HTTP/1.1\r\nhost: x\r\napikey: ${app.anonKey}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n[`
          : 'GET /rest/v1/todos HTTP/1.1\r\nhost: x',
      )
      sockets.push(socket)
    }
    try {
      const answers = await Promise.all(Array.from({ length: 100 }, () => rest(app, 'notices?select=body')))
      assert.ok(answers.every(({ status }) => status === 200), `${answers.map(({ status }) => status)}`)
    } finally {
      sockets.forEach((socket) => socket.destroy())
    }
    await until('all is well afterwards', async () => (await rest(app, 'notices')).status === 200)
  })

  it('that go away in the middle leave nothing behind', async () => {
    for (let n = 0; n < 50; n += 1) {
      const controller = new AbortController()
      const request = rest(app, 'rpc/none', { method: 'POST', body: '{}', signal: controller.signal }).catch(() => {})
      const read = rest(app, 'notices', { signal: controller.signal }).catch(() => {})
      controller.abort()
      await Promise.all([request, read])
    }
    await stillWell()
  })
})
