// A tour of what administrators do with the published client.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { it } from 'node:test'
import { PASSWORD, client, email } from '../lib/client.mjs'
import { codeIn, inBothTenancies, keeper, mailTo, ok } from '../lib/tenancies.mjs'

const SITE = 'http://localhost:3000'
const TOML = `
[auth]
site_url = "${SITE}"
additional_redirect_urls = ["${SITE}/**"]
[auth.email]
max_frequency = "1ms"
[auth.rate_limit]
email_sent = 1000
[auth.oauth_server]
enabled = true
`

inBothTenancies('administrators', () => TOML, (scene) => {
  const service = () => client(scene.app, scene.app.serviceKey).auth.admin
  const signIn = (address, password = PASSWORD) => client(scene.app).auth.signInWithPassword({ email: address, password })

  async function call(path, method = 'GET') {
    const headers = { apikey: scene.app.serviceKey, authorization: `Bearer ${scene.app.serviceKey}` }
    const response = await fetch(`${scene.app.url}/auth/v1${path}`, { method, headers })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }

  async function user(more = {}) {
    const address = email('managed')
    const { user } = ok(await service().createUser({ email: address, password: PASSWORD, email_confirm: true, ...more }))
    return { address, user }
  }

  it('make users who can sign in at once', async () => {
    const id = randomUUID()
    const { address, user: made } = await user({ id, user_metadata: { name: 'Ann' }, app_metadata: { plan: 'gold' } })
    assert.deepEqual([made.id, made.user_metadata.name, made.app_metadata.plan], [id, 'Ann', 'gold'])
    assert.equal(ok(await signIn(address)).user.id, id)
    const twice = await service().createUser({ email: address, password: PASSWORD })
    assert.deepEqual([twice.error.status, twice.error.code], [422, 'email_exists'])
    const waiting = email('waiting')
    ok(await service().createUser({ email: waiting, password: PASSWORD }))
    assert.equal((await signIn(waiting)).error.code, 'email_not_confirmed')
    const hashed = email('hashed')
    // One of the published examples of bcrypt.
    const hash = '$2a$10$WvvTPHKwdBJ3uk0Z37EMR.hLA2W6N9AEBhEgrAOljy2Ae5MtaSIUi'
    ok(await service().createUser({ email: hashed, password_hash: hash, email_confirm: true }))
    ok(await signIn(hashed, 'abc'))
    assert.equal((await signIn(hashed, 'abd')).error.code, 'invalid_credentials')
  })

  it('change, ban and welcome back', async () => {
    const { address, user: made } = await user()
    const session = keeper(scene.app)
    ok(await session.auth.signInWithPassword({ email: address, password: PASSWORD }))
    const next = email('renamed')
    const change = { email: next, password: 'another-good-password', user_metadata: { a: 1 }, app_metadata: { role: 'cook' } }
    const changed = ok(await service().updateUserById(made.id, change)).user
    assert.deepEqual([changed.email, changed.user_metadata.a, changed.app_metadata.role], [next, 1, 'cook'])
    assert.equal((await session.auth.getUser()).error.name, 'AuthSessionMissingError', 'a new password ends sessions')
    const again = keeper(scene.app)
    ok(await again.auth.signInWithPassword({ email: next, password: 'another-good-password' }))
    ok(await service().updateUserById(made.id, { ban_duration: '1h30m' }))
    assert.equal((await signIn(next, 'another-good-password')).error.code, 'user_banned')
    assert.equal((await again.auth.getUser()).error.code, 'user_banned')
    assert.equal((await again.auth.refreshSession()).error.code, 'user_banned')
    const free = ok(await service().updateUserById(made.id, { ban_duration: 'none', user_metadata: { a: null, b: 2 } })).user
    assert.deepEqual([free.banned_until, free.user_metadata.a, free.user_metadata.b], [undefined, undefined, 2])
    ok(await signIn(next, 'another-good-password'))
    const missing = await service().getUserById(randomUUID())
    assert.deepEqual([missing.error.status, missing.error.code], [404, 'user_not_found'])
  })

  it('turn pages and find people', async () => {
    const made = []
    for (let n = 0; n < 5; n += 1) made.push(await user({ user_metadata: { full_name: `Paged ${n}` } }))
    const seen = []
    for (let page = 1; page; ) {
      const listed = await service().listUsers({ page, perPage: 2 })
      assert.ifError(listed.error)
      assert.ok(listed.data.users.length <= 2 && listed.data.total >= 5)
      seen.push(...listed.data.users.map(({ id }) => id))
      assert.ok(listed.data.nextPage === null || listed.data.nextPage === page + 1)
      page = listed.data.nextPage
    }
    assert.equal(new Set(seen).size, seen.length)
    assert.ok(made.every(({ user }) => seen.includes(user.id)))
    const { address, user: one } = made[3]
    const ids = async (query) => (await call(`/admin/users?${query}`)).body.users.map(({ id }) => id)
    assert.deepEqual(await ids(`email=${encodeURIComponent(address.toUpperCase())}`), [one.id])
    assert.deepEqual(await ids('filter=Paged%203'), [one.id])
    const walked = []
    for (let cursor = ''; cursor !== null; ) {
      const { body } = await call(`/admin/users?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
      walked.push(...body.users.map(({ id }) => id))
      cursor = body.pagination.next_cursor || null
    }
    assert.deepEqual([...walked].sort(), [...seen].sort())
  })

  it('give links that work without a mail', async () => {
    const admin = service()
    const use = (properties) =>
      client(scene.app).auth.verifyOtp({ type: properties.verification_type, token_hash: properties.hashed_token })
    const [newcomer, guest] = [email('newcomer'), email('guest')]
    const { address, user: known } = await user()
    const redirectTo = `${SITE}/in`
    for (const [asked, id] of [
      [{ type: 'signup', email: newcomer, password: PASSWORD, options: { data: { a: 1 }, redirectTo } }],
      [{ type: 'invite', email: guest, options: { redirectTo } }],
      [{ type: 'magiclink', email: address, options: { redirectTo } }, known.id],
      [{ type: 'recovery', email: address, options: { redirectTo } }, known.id],
    ]) {
      const { properties, user } = ok(await admin.generateLink(asked))
      assert.equal(properties.redirect_to, redirectTo, asked.type)
      const link = new URL(properties.action_link)
      assert.equal(`${link.origin}${link.pathname}`, `${scene.app.url}/auth/v1/verify`)
      assert.deepEqual([link.searchParams.get('token'), link.searchParams.get('type')], [properties.hashed_token, properties.verification_type])
      const signedIn = ok(await use(properties))
      assert.equal(signedIn.user.id, id ?? user.id, asked.type)
      assert.equal((await use(properties)).error.code, 'otp_expired', `${asked.type} twice`)
    }
    const byCode = ok(await admin.generateLink({ type: 'magiclink', email: address })).properties
    ok(await client(scene.app).auth.verifyOtp({ type: 'email', email: address, token: byCode.email_otp }))
    const next = email('next')
    const fresh = ok(await admin.generateLink({ type: 'email_change_new', email: address, newEmail: next })).properties
    const old = ok(await admin.generateLink({ type: 'email_change_current', email: address, newEmail: next })).properties
    assert.notEqual(fresh.hashed_token, old.hashed_token)
  })

  it('invite by mail', async () => {
    const guest = email('invited')
    const { user: invited } = ok(await service().inviteUserByEmail(guest, { data: { team: 'blue' }, redirectTo: `${SITE}/welcome` }))
    assert.ok(invited.invited_at && !invited.email_confirmed_at)
    const supabase = keeper(scene.app)
    const token = codeIn(await mailTo(scene.app, guest))
    const { user: arrived } = ok(await supabase.auth.verifyOtp({ type: 'invite', email: guest, token }))
    assert.deepEqual([arrived.id, arrived.user_metadata.team], [invited.id, 'blue'])
    ok(await supabase.auth.updateUser({ password: PASSWORD }))
    ok(await signIn(guest))
    assert.equal((await service().inviteUserByEmail(guest)).error.code, 'email_exists')
  })

  it('end sessions of others', async () => {
    const { address } = await user()
    const [one, two] = [keeper(scene.app), keeper(scene.app)]
    const { session } = ok(await one.auth.signInWithPassword({ email: address, password: PASSWORD }))
    ok(await two.auth.signInWithPassword({ email: address, password: PASSWORD }))
    ok(await service().signOut(session.access_token, 'others'))
    assert.equal((await two.auth.getUser()).error.name, 'AuthSessionMissingError')
    ok(await one.auth.getUser())
    ok(await service().signOut(session.access_token, 'global'))
    assert.equal((await one.auth.getUser()).error.name, 'AuthSessionMissingError')
  })

  it('delete users, softly or wholly', async () => {
    const [soft, hard] = [await user(), await user()]
    ok(await service().deleteUser(soft.user.id, true))
    ok(await service().deleteUser(hard.user.id))
    for (const { address } of [soft, hard]) assert.equal((await signIn(address)).error.code, 'invalid_credentials')
    const left = ok(await service().getUserById(soft.user.id)).user
    assert.ok(left.deleted_at && !JSON.stringify(left).includes(soft.address), JSON.stringify(left))
    assert.equal((await service().getUserById(hard.user.id)).error.code, 'user_not_found')
    // Both addresses are free again.
    for (const { address } of [soft, hard]) ok(await service().createUser({ email: address, password: PASSWORD }))
    const entries = (await call('/admin/audit?query=action:user_deleted')).body
    assert.ok(entries.length >= 2 && entries.every(({ payload }) => payload.action === 'user_deleted'))
  })

  it('keep the clients of the OAuth server', async () => {
    const { oauth } = service()
    const made = ok(await oauth.createClient({ client_name: 'Partner', redirect_uris: ['https://partner.example/in'] }))
    assert.ok(made.client_secret)
    assert.equal(ok(await oauth.getClient(made.client_id)).client_name, 'Partner')
    assert.equal(JSON.stringify(ok(await oauth.listClients())).includes(made.client_secret), false)
    assert.equal(ok(await oauth.updateClient(made.client_id, { client_name: 'Friend' })).client_name, 'Friend')
    const renewed = ok(await oauth.regenerateClientSecret(made.client_id))
    assert.notEqual(renewed.client_secret, made.client_secret)
    ok(await oauth.deleteClient(made.client_id))
    assert.equal((await oauth.getClient(made.client_id)).error.status, 404)
  })

  it('are nobody else', async () => {
    const { address, user: made } = await user()
    const { session } = ok(await signIn(address))
    const asUser = client(scene.app, session.access_token).auth.admin
    for (const admin of [client(scene.app).auth.admin, asUser]) {
      for (const refused of [
        await admin.listUsers(),
        await admin.updateUserById(made.id, { app_metadata: { role: 'admin' } }),
        await admin.generateLink({ type: 'magiclink', email: address }),
        await admin.deleteUser(made.id),
      ]) {
        assert.ok([401, 403].includes(refused.error.status), `${refused.error.status} ${refused.error.message}`)
      }
    }
    const headers = { apikey: scene.app.anonKey, authorization: `Bearer ${session.access_token}` }
    const listed = await fetch(`${scene.app.url}/auth/v1/admin/users`, { headers })
    assert.deepEqual([listed.status, (await listed.json()).error_code], [403, 'not_admin'])
    ok(await signIn(address))
  })
}, { mail: true })
