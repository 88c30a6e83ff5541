// Hooks that are servers of the project's owner, who checks their signatures with the library that Standard Webhooks
// gives to receivers; and a company that sends text messages.

import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { after, it } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { PASSWORD, claims, client, email } from '../lib/client.mjs'
import { Listener, inBothTenancies, keeper, ok } from '../lib/tenancies.mjs'

const SITE = 'http://localhost:3000'
const secrets = [randomBytes(32), randomBytes(32)].map((key) => `v1,whsec_${key.toString('base64')}`)

/** A receiver of hooks: each of the project's secrets has to verify what arrives. */
async function receiver() {
  const owner = await Listener.listen(async ({ path, headers, body }) => {
    const payloads = secrets.map((secret) => new Webhook(secret.slice('v1,'.length)).verify(body, headers))
    assert.deepEqual(payloads[0], payloads[1])
    const answer = await owner.says(path.slice(1), payloads[0])
    return answer === undefined ? { status: 204, headers: {}, text: '' } : { json: answer }
  })
  owner.told = []
  owner.says = (name, payload) => {
    owner.told.push({ name, payload })
    return owner.answers[name]?.(payload)
  }
  owner.answers = {}
  return owner
}

let owner
const HOOKS = ['send_email', 'custom_access_token', 'before_user_created', 'mfa_verification_attempt', 'password_verification_attempt']

async function hooked() {
  owner = await receiver()
  const sections = HOOKS.map((name) => `[auth.hook.${name}]\nenabled = true\nuri = "${owner.url}/${name}"\nsecrets = "${secrets.join('|')}"\n`)
  return `
[auth]
site_url = "${SITE}"
[auth.email]
enable_confirmations = true
max_frequency = "1ms"
[auth.rate_limit]
email_sent = 1000
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
${sections.join('')}`
}

inBothTenancies('hooks that are servers', hooked, (scene) => {
  after(() => owner.close())

  const told = (name) => owner.told.filter((entry) => entry.name === name).map(({ payload }) => payload)
  const keepClaims = ({ claims }) => ({ claims })

  async function member() {
    owner.answers = { custom_access_token: keepClaims }
    const [address, supabase] = [email('hooked'), keeper(scene.app)]
    ok(await supabase.auth.signUp({ email: address, password: PASSWORD }))
    const { email_data: data } = told('send_email').at(-1)
    ok(await supabase.auth.verifyOtp({ type: 'signup', email: address, token: data.token }))
    return { supabase, address }
  }

  it('hands mail to the owner, whose codes and links work', async () => {
    owner.answers = { custom_access_token: keepClaims }
    const [address, supabase] = [email('mail'), keeper(scene.app)]
    const options = { emailRedirectTo: `${SITE}/in`, data: { name: 'Ann' } }
    ok(await supabase.auth.signUp({ email: address, password: PASSWORD, options }))
    const { user, email_data: data, metadata } = told('send_email').at(-1)
    assert.deepEqual([user.email, user.user_metadata.name, metadata.name], [address, 'Ann', 'send-email'])
    assert.deepEqual([data.email_action_type, data.redirect_to, data.site_url], ['signup', `${SITE}/in`, `${scene.app.url}/auth/v1`])
    assert.match(data.token, /^\d{6}$/)
    ok(await supabase.auth.verifyOtp({ type: 'email', token_hash: data.token_hash }))
    ok(await supabase.auth.resetPasswordForEmail(address))
    const recovery = told('send_email').at(-1).email_data
    assert.equal(recovery.email_action_type, 'recovery')
    ok(await supabase.auth.verifyOtp({ type: 'recovery', email: address, token: recovery.token }))
  })

  it('undoes what the owner refuses to mail', async () => {
    owner.answers = { send_email: () => ({ error: { http_code: 429, message: 'not so fast' } }) }
    const address = email('refused')
    const { error } = await client(scene.app).auth.signUp({ email: address, password: PASSWORD })
    assert.deepEqual([error.status, error.message], [429, 'not so fast'])
    const admin = client(scene.app, scene.app.serviceKey)
    const { users } = ok(await admin.auth.admin.listUsers({ perPage: 1000 }))
    assert.ok(users.length > 0 && users.every((user) => user.email !== address))
  })

  it('asks before a user is made', async () => {
    owner.answers.before_user_created = ({ user }) =>
      user.email.endsWith('@example.com') ? { error: { http_code: 403, message: 'Staff only' } } : undefined
    const { error } = await client(scene.app).auth.signUp({ email: email('guest'), password: PASSWORD })
    assert.deepEqual([error.status, error.message], [403, 'Staff only'])
  })

  it('lets the owner write claims of tokens, at sign-in and at refresh', async () => {
    const { supabase, address } = await member()
    owner.answers.custom_access_token = ({ claims, authentication_method: method }) => ({
      claims: { ...claims, tenant: 'blue', by: method, app_metadata: { ...claims.app_metadata, plan: 'gold' } },
    })
    const { session, user } = ok(await supabase.auth.signInWithPassword({ email: address, password: PASSWORD }))
    const first = claims(session.access_token)
    assert.deepEqual([first.tenant, first.by, first.app_metadata.plan, first.sub], ['blue', 'password', 'gold', user.id])
    const next = ok(await supabase.auth.refreshSession()).session
    assert.equal(claims(next.access_token).by, 'token_refresh')
    // It is a token of the project all the same.
    assert.equal(ok(await supabase.auth.getUser()).user.id, user.id)
    owner.answers.custom_access_token = ({ claims: { role, ...rest } }) => ({ claims: rest })
    const refused = await fetch(`${scene.app.url}/auth/v1/token?grant_type=password`, {
      method: 'POST',
      headers: { apikey: scene.app.anonKey },
      body: JSON.stringify({ email: address, password: PASSWORD }),
    })
    assert.equal(refused.status, 500)
    assert.match((await refused.json()).msg, /role is required/)
  })

  it('lets the owner end the guessing of passwords', async () => {
    const { address } = await member()
    let wrong = 0
    owner.answers.password_verification_attempt = ({ valid }) => {
      if (!valid) wrong += 1
      return wrong > 1 ? { decision: 'reject', message: 'Wait an hour', should_logout_user: false } : { decision: 'continue' }
    }
    const attempt = (password) => client(scene.app).auth.signInWithPassword({ email: address, password })
    assert.equal((await attempt('wrong-password')).error.message, 'Invalid login credentials')
    assert.equal((await attempt('wrong-password')).error.message, 'Wait an hour')
    assert.equal((await attempt(PASSWORD)).error.message, 'Wait an hour', 'nor the right one')
  })
})

let company
async function texting() {
  company = await Listener.listen(() => ({ status: 201, json: { sid: 'SM1', status: 'queued' } }))
  return `
[auth]
site_url = "${SITE}"
[auth.sms]
enable_signup = true
enable_confirmations = true
template = "Your code is {{ .Code }}"
max_frequency = "1ms"
[auth.rate_limit]
sms_sent = 1000
[auth.sms.twilio]
enabled = true
account_sid = "AC0123"
message_service_sid = "MG0123"
auth_token = "t0ken"
endpoint = "${company.url}"
[auth.mfa.phone]
enroll_enabled = true
verify_enabled = true
`
}

inBothTenancies('text messages', texting, (scene) => {
  after(() => company.close())

  const number = () => `1555${randomInt(1e6, 1e7)}`
  const sent = () => {
    const { method, path, headers, body } = company.last()
    assert.deepEqual([method, path], ['POST', '/2010-04-01/Accounts/AC0123/Messages.json'])
    assert.equal(headers.authorization, `Basic ${Buffer.from('AC0123:t0ken').toString('base64')}`)
    return Object.fromEntries(new URLSearchParams(body))
  }
  const code = () => sent().Body.match(/^Your code is (\d{6})$/)[1]

  it('sign people in by their number', async () => {
    const [phone, supabase] = [number(), keeper(scene.app)]
    ok(await supabase.auth.signInWithOtp({ phone: `+${phone}` }))
    assert.deepEqual([sent().To, sent().From], [`+${phone}`, 'MG0123'])
    const wrong = await supabase.auth.verifyOtp({ type: 'sms', phone, token: code() === '000000' ? '000001' : '000000' })
    assert.equal(wrong.error.code, 'otp_expired')
    const { user, session } = ok(await supabase.auth.verifyOtp({ type: 'sms', phone, token: code() }))
    assert.deepEqual([user.phone, claims(session.access_token).phone], [phone, phone])
    const again = await supabase.auth.verifyOtp({ type: 'sms', phone, token: code() })
    assert.equal(again.error.code, 'otp_expired')
    assert.equal(ok(await client(scene.app).auth.signInWithOtp({ phone })).messageId, 'SM1')
  })

  it('confirm numbers with a password, and their change', async () => {
    const [phone, next, supabase] = [number(), number(), keeper(scene.app)]
    assert.equal(ok(await supabase.auth.signUp({ phone, password: PASSWORD })).session, null)
    assert.equal((await client(scene.app).auth.signInWithPassword({ phone, password: PASSWORD })).error.code, 'phone_not_confirmed')
    ok(await supabase.auth.verifyOtp({ type: 'sms', phone, token: code() }))
    ok(await supabase.auth.updateUser({ phone: next }))
    assert.equal(sent().To, `+${next}`)
    ok(await supabase.auth.verifyOtp({ type: 'phone_change', phone: next, token: code() }))
    assert.equal(ok(await client(scene.app).auth.signInWithPassword({ phone: next, password: PASSWORD })).user.phone, next)
  })

  it('are a second factor', async () => {
    const supabase = keeper(scene.app)
    ok(await supabase.auth.signUp({ email: email('factor'), password: PASSWORD }))
    const phone = number()
    const factor = ok(await supabase.auth.mfa.enroll({ factorType: 'phone', phone }))
    const challenge = ok(await supabase.auth.mfa.challenge({ factorId: factor.id }))
    assert.equal(sent().To, `+${phone}`)
    const { access_token: token } = ok(await supabase.auth.mfa.verify({ factorId: factor.id, challengeId: challenge.id, code: code() }))
    assert.deepEqual([claims(token).aal, claims(token).amr[0].method], ['aal2', 'mfa/phone'])
  })

  it('that the company refuses are nobody\'s sign-in', async () => {
    company.answer = () => ({ status: 400, json: { code: 21211, message: "Invalid 'To' Phone Number", more_info: 'https://x.example/21211' } })
    const { error } = await client(scene.app).auth.signInWithOtp({ phone: number() })
    assert.deepEqual([error.status, error.code], [422, 'sms_send_failed'])
    assert.match(error.message, /Invalid 'To' Phone Number/)
    company.answer = () => ({ status: 201, json: { sid: 'SM1', status: 'queued' } })
  })
})
