// Mail from sign-up to inbox: sent by the real program into its mail catcher, read through the catcher's API as
// test suites read it, and used as people use it: by code and by link.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { answering, pooled, serve } from '../lib/platform.mjs'
import { cleanUp, command, freePort, relaunch, scratch, start, until } from '../lib/program.mjs'
import { PASSWORD, client, email } from '../lib/client.mjs'

const SITE = 'http://localhost:3000'
const CONFIG = `
[auth]
site_url = "${SITE}"
additional_redirect_urls = ["${SITE}/**"]
[auth.email]
enable_confirmations = true
max_frequency = "1ms"
[auth.email.template.invite]
subject = "{{ .Data.inviter }} invites you"
content_path = "./supabase/templates/invite.html"
[auth.email.template.invite.languages.de]
subject = "{{ .Data.inviter }} lädt dich ein"
[auth.email.notification.password_changed]
enabled = true
`
const INVITE = '<p title="{{ .Data.inviter }}">{{ .Data.inviter }}</p><a href="{{ .Data.site }}">site</a><b>{{ .Token }}</b>'

function folder(more = '') {
  const dir = scratch()
  fs.mkdirSync(path.join(dir, 'supabase/templates'), { recursive: true })
  fs.writeFileSync(path.join(dir, 'supabase/config.toml'), CONFIG + more)
  fs.writeFileSync(path.join(dir, 'supabase/templates/invite.html'), INVITE)
  return dir
}

const appOf = ({ env }) => ({ url: env.API_URL, anonKey: env.ANON_KEY, serviceKey: env.SERVICE_ROLE_KEY, mail: env.MAILPIT_URL })

async function api(app, route, options) {
  const response = await fetch(`${app.mail}${route}`, options)
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) }
}

/** The newest message to an address, once there are so many. */
async function mailTo(app, address, count = 1) {
  const query = encodeURIComponent(`to:"${address}"`)
  const found = await until(`mail to ${address}`, async () => {
    const { messages } = (await api(app, `/api/v1/search?query=${query}`)).json()
    return messages.length >= count && messages
  })
  assert.equal(found.length, count)
  return (await api(app, `/api/v1/message/${found[0].ID}`)).json()
}

const codeIn = (mail) => mail.Text.match(/\b\d{6}\b/)[0]
const linkIn = (mail) => mail.HTML.match(/href="([^"]*\/verify\?[^"]*)"/)[1].replaceAll('&amp;', '&')

async function follow(link) {
  const answer = await fetch(link, { redirect: 'manual' })
  return { status: answer.status, location: answer.headers.get('location') ?? '' }
}

function ok({ data, error }) {
  if (error) throw error
  return data
}

async function signUp(app, options = {}) {
  const address = email('mail')
  const supabase = client(app)
  const data = ok(await supabase.auth.signUp({ email: address, password: PASSWORD, options }))
  assert.equal(data.session, null)
  return { supabase, address }
}

async function confirmed(app) {
  const { supabase, address } = await signUp(app)
  const token = codeIn(await mailTo(app, address))
  ok(await supabase.auth.verifyOtp({ type: 'signup', email: address, token }))
  return { supabase, address }
}

describe('mail of the local stack', () => {
  let program, app, smtp

  before(async () => {
    smtp = await freePort()
    program = await start({ dir: folder(`[inbucket]\nsmtp_port = ${smtp}\n`) })
    app = appOf(program)
  })
  after(() => cleanUp(program))

  it('confirms a sign-up by the code in the mail', async () => {
    const { supabase, address } = await signUp(app)
    const mail = await mailTo(app, address)
    assert.deepEqual(mail.From, { Name: 'Admin', Address: 'admin@email.com' })
    assert.deepEqual(mail.To, [{ Name: '', Address: address }])
    assert.match(mail.Subject, new RegExp(`^${codeIn(mail)} is your code`))
    const wrong = await supabase.auth.verifyOtp({ type: 'signup', email: address, token: '000000' })
    assert.equal(wrong.error.code, 'otp_expired')
    const { session } = ok(await supabase.auth.verifyOtp({ type: 'signup', email: address, token: codeIn(mail) }))
    assert.ok(session.access_token)
  })

  it('confirms a sign-up by the link in the mail, once', async () => {
    const { address } = await signUp(app, { emailRedirectTo: `${SITE}/welcome?a=1&b=2` })
    const link = linkIn(await mailTo(app, address))
    const first = await follow(link)
    assert.equal(first.status, 303)
    assert.ok(first.location.startsWith(`${SITE}/welcome?a=1&b=2#access_token=`), first.location)
    assert.match((await follow(link)).location, /error_code=otp_expired/)
    ok(await client(app).auth.signInWithPassword({ email: address, password: PASSWORD }))
  })

  it('recovers a password, and tells of the change', async () => {
    const { address } = await confirmed(app)
    const supabase = client(app)
    ok(await supabase.auth.resetPasswordForEmail(address))
    const token = codeIn(await mailTo(app, address, 2))
    ok(await supabase.auth.verifyOtp({ type: 'recovery', email: address, token }))
    ok(await supabase.auth.updateUser({ password: 'another-good-password' }))
    assert.equal((await mailTo(app, address, 3)).Subject, 'Your password was changed')
    ok(await client(app).auth.signInWithPassword({ email: address, password: 'another-good-password' }))
  })

  it('signs in by magic link and by its code', async () => {
    const { address } = await confirmed(app)
    const supabase = client(app)
    ok(await supabase.auth.signInWithOtp({ email: address, options: { shouldCreateUser: false } }))
    const { location } = await follow(linkIn(await mailTo(app, address, 2)))
    assert.match(location, /#access_token=.*type=magiclink/)
    ok(await supabase.auth.signInWithOtp({ email: address }))
    const token = codeIn(await mailTo(app, address, 3))
    assert.ok(ok(await supabase.auth.verifyOtp({ type: 'email', email: address, token })).session)
  })

  it('changes an address when both mails are answered', async () => {
    const { supabase, address } = await confirmed(app)
    const next = email('next')
    ok(await supabase.auth.updateUser({ email: next }))
    const [old, fresh] = [await mailTo(app, address, 2), await mailTo(app, next)]
    assert.notEqual(codeIn(old), codeIn(fresh))
    assert.match((await follow(linkIn(old))).location, /message=Confirmation\+link\+accepted/)
    ok(await supabase.auth.verifyOtp({ type: 'email_change', email: next, token: codeIn(fresh) }))
    assert.equal(ok(await supabase.auth.getUser()).user.email, next)
  })

  it('invites with the texts of the project, in the language of the guest, and nothing smuggled in', async () => {
    const admin = client(app, app.serviceKey)
    const [english, german] = [email('guest'), email('gast')]
    const inviter = '{{ .Token }}\r\nBcc: all@example.com\r\n<script>alert(1)</script>" onload="x'
    ok(await admin.auth.admin.inviteUserByEmail(english, { data: { inviter, site: 'javascript:alert(1)' } }))
    const mail = await mailTo(app, english)
    assert.equal(mail.Subject, '{{ .Token }} Bcc: all@example.com <script>alert(1)</script>" onload="x invites you')
    assert.deepEqual([mail.Bcc, mail.Cc], [[], []])
    assert.ok(!mail.HTML.includes('<script>') && !mail.HTML.includes('" onload') && !mail.HTML.includes('javascript:'), mail.HTML)
    ok(await client(app).auth.verifyOtp({ type: 'invite', email: english, token: codeIn({ Text: mail.HTML.split('<b>')[1] }) }))
    ok(await admin.auth.admin.inviteUserByEmail(german, { data: { inviter: 'Ann', locale: 'de-AT', site: `${SITE}/x` } }))
    const other = await mailTo(app, german)
    assert.equal(other.Subject, 'Ann lädt dich ein')
    assert.ok(other.HTML.includes(`href="${SITE}/x"`), other.HTML)
  })

  it('has the API of Mailpit', async () => {
    const { address } = await signUp(app)
    const mail = await mailTo(app, address)
    const list = (await api(app, '/api/v1/messages?limit=1')).json()
    assert.equal(list.messages.length, 1)
    assert.deepEqual([list.messages[0].ID, list.messages[0].Read], [mail.ID, true])
    assert.ok(list.total >= 1 && list.messages_count === list.total)
    assert.equal((await api(app, '/api/v1/message/latest')).json().ID, mail.ID)
    assert.deepEqual((await api(app, `/api/v1/message/${mail.ID}/headers`)).json().To, [address])
    const raw = await api(app, `/api/v1/message/${mail.ID}/raw`)
    assert.match(raw.text, /^(?:.*\r\n)*Message-ID: </)
    const view = await api(app, '/view/latest.html')
    assert.match(view.headers.get('content-security-policy'), /^sandbox .*default-src 'none'/)
    assert.ok(view.text.includes(codeIn(mail)))
    assert.ok((await api(app, `/view/${mail.ID}.txt`)).text.includes(codeIn(mail)))
    assert.equal((await api(app, '/api/v1/info')).json().Messages, list.total)
    assert.equal((await api(app, '/api/v1/search?query=')).status, 400)
    assert.equal((await api(app, '/api/v1/message/none')).status, 404)
    const page = await api(app, '/')
    assert.match(page.headers.get('content-security-policy'), /default-src 'none'; script-src 'self'/)
    const gone = await api(app, '/api/v1/messages', { method: 'DELETE', body: JSON.stringify({ IDs: [mail.ID] }) })
    assert.deepEqual([gone.status, gone.text], [200, 'ok'])
    assert.equal((await api(app, `/api/v1/message/${mail.ID}`)).status, 404)
  })

  it('answers under no name that somebody else can have', async () => {
    const { port } = new URL(app.mail)
    const ask = async (host) => {
      const request = http.get({ host: '127.0.0.1', port, path: '/api/v1/messages', headers: { host } })
      const [response] = await once(request, 'response')
      response.resume()
      return response.statusCode
    }
    assert.deepEqual([await ask('evil.example.com'), await ask(`rebind.test:${port}`), await ask('localhost')], [421, 421, 200])
  })

  it('takes what programs under test send by SMTP', async () => {
    assert.equal(program.env.SMTP_URL, `smtp://127.0.0.1:${smtp}`)
    const to = email('smtp')
    const socket = net.connect(smtp, '127.0.0.1').setEncoding('utf8')
    let said = ''
    socket.on('data', (data) => (said += data))
    const expect = (pattern) => until(`${pattern} from the SMTP port, which said ${said}`, () => pattern.test(said))
    await expect(/^220 /)
    const lines = ['EHLO test', `AUTH PLAIN ${Buffer.from('\0u\0p').toString('base64')}`, 'MAIL FROM:<app@example.com>', `RCPT TO:<${to}>`, 'DATA']
    for (const [n, line] of lines.entries()) {
      said = ''
      socket.write(`${line}\r\n`)
      await expect([/^250 /m, /^235/, /^250/, /^250/, /^354/][n])
    }
    said = ''
    socket.write(`From: App <app@example.com>\r\nTo: ${to}\r\nSubject: Test\r\n\r\n..dots\r\n.\r\nQUIT\r\n`)
    await expect(/^250 [^]*^221 /m)
    assert.equal((await mailTo(app, to)).Text.trim(), '.dots')
  })
})

describe('mail that could not be sent', () => {
  let program

  after(() => cleanUp(program))

  it('survives the death of the program and arrives when it is back', async () => {
    const dead = await freePort()
    const dir = folder(`[auth.email.smtp]\nhost = "127.0.0.1"\nport = ${dead}\nadmin_email = "app@example.com"\n`)
    program = await start({ dir })
    const app = appOf(program)
    const { address } = await signUp(app)
    const waiting = async () => {
      const headers = { apikey: app.serviceKey, authorization: `Bearer ${app.serviceKey}` }
      return (await (await fetch(`${app.url}/auth/v1/admin/mail`, { headers })).json()).messages
    }
    // Tried at least once, and shown to the owner with the reason but without the code.
    const [message] = await until('an attempt', async () => {
      const messages = await waiting()
      return messages[0]?.reason && messages
    })
    assert.deepEqual([message.recipient, message.failed_at], [address, null])
    assert.equal(message.data, undefined)
    await program.stop('SIGKILL')
    fs.writeFileSync(path.join(dir, 'supabase/config.toml'), CONFIG)
    await relaunch(program)
    // Nobody asks the project for anything: it has to come by itself.
    const again = appOf(program)
    const token = codeIn(await mailTo(again, address))
    ok(await client(again).auth.verifyOtp({ type: 'signup', email: address, token }))
    await program.stop('SIGKILL')
    await relaunch(program)
    assert.equal((await mailTo(appOf(program), address)).To[0].Address, address)
  })
})

describe('mail of pooled projects', () => {
  let box, platform

  after(() => cleanUp(box, platform))

  it('goes by the server of each project, and what waits survives the death of the platform', async () => {
    const smtp = await freePort()
    box = await start({ dir: folder(`[inbucket]\nsmtp_port = ${smtp}\n`) })
    platform = await serve({ extra: ['--outbound-anywhere'] })
    const [first, second] = [await pooled(platform, 'first', null), await pooled(platform, 'second', null)]
    const configure = (app, ...settings) =>
      command(['projects', 'settings', 'set', app.ref, ...settings, '--data', platform.data])
    const server = ['host=127.0.0.1', 'admin_email=app@first.test', 'sender_name=First'].map((pair) => `auth.email.smtp.${pair}`)
    await configure(first, 'auth.email.enable_confirmations=true', ...server, `auth.email.smtp.port=${await freePort()}`)
    await configure(second, 'auth.email.enable_confirmations=true')
    const waiting = async (app) => {
      const headers = { apikey: app.serviceKey, authorization: `Bearer ${app.serviceKey}` }
      return (await (await fetch(`${app.url}/auth/v1/admin/mail`, { headers })).json()).messages
    }
    const address = email('pooled')
    for (const app of [first, second]) ok(await client(app).auth.signUp({ email: address, password: PASSWORD }))
    // The second has no server: its message is given up where its owner sees it, and nowhere else.
    const given = await until('the message without a server', async () => {
      const messages = await waiting(second)
      return messages[0]?.failed_at && messages
    })
    assert.deepEqual(given.map(({ recipient, reason }) => [recipient, reason]), [[address, 'no SMTP server is configured']])
    await until('an attempt', async () => (await waiting(first))[0]?.reason)
    await platform.stop('SIGKILL')
    await answering(platform.launch())
    // The right server is told while everything runs; nobody asks the project for anything.
    const told = () => configure(first, `auth.email.smtp.port=${smtp}`).then(() => true)
    await until('the platform takes commands', told)
    const mail = await mailTo(appOf(box), address)
    assert.deepEqual(mail.From, { Name: 'First', Address: 'app@first.test' })
    ok(await client(first).auth.verifyOtp({ type: 'signup', email: address, token: codeIn(mail) }))
    const stranger = await client(second).auth.verifyOtp({ type: 'signup', email: address, token: codeIn(mail) })
    assert.equal(stranger.error.code, 'otp_expired')
    assert.deepEqual(await waiting(first), [])
  })
})
