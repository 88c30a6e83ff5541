// Accounts over their life with the published client: guests who stay, identities that are linked, passwords that are
// forgotten.

import assert from 'node:assert/strict'
import { after, it } from 'node:test'
import { PASSWORD, claims, client, email } from '../lib/client.mjs'
import { CLIENT, Issuer } from '../lib/issuer.mjs'
import { codeIn, follow, inBothTenancies, keeper, linkIn, mailTo, ok } from '../lib/tenancies.mjs'

const SITE = 'http://localhost:3000'
let issuer

async function toml() {
  issuer = await Issuer.listen()
  return `
[auth]
site_url = "${SITE}"
additional_redirect_urls = ["${SITE}/**"]
enable_anonymous_sign_ins = true
enable_manual_linking = true
[auth.email]
enable_confirmations = true
max_frequency = "1ms"
[auth.rate_limit]
email_sent = 1000
[auth.sms]
enable_confirmations = true
[auth.external.google]
enabled = true
client_id = "${CLIENT.id}"
secret = "${CLIENT.secret}"
url = "${issuer.url}"
[auth.email.notification.password_changed]
enabled = true
`
}

/** Follows redirects until they lead to the site. */
async function home(url) {
  for (let step = 0; step < 5 && !url.startsWith(SITE); step++) url = (await follow(url)).location
  assert.ok(url.startsWith(SITE), url)
  return new URL(url)
}

const fragment = (url) => new URLSearchParams(url.hash.slice(1))

inBothTenancies('accounts', toml, (scene) => {
  after(() => issuer.close())

  async function member(options = {}) {
    const [address, supabase] = [email('account'), keeper(scene.app, options)]
    ok(await supabase.auth.signUp({ email: address, password: PASSWORD }))
    const token = codeIn(await mailTo(scene.app, address))
    const { user } = ok(await supabase.auth.verifyOtp({ type: 'signup', email: address, token }))
    return { supabase, address, user }
  }

  it('of guests become permanent by an address and a password', async () => {
    const [supabase, address] = [keeper(scene.app), email('guest')]
    const { user, session } = ok(await supabase.auth.signInAnonymously({ options: { data: { cart: 3 } } }))
    assert.deepEqual([user.is_anonymous, user.email, user.user_metadata.cart], [true, '', 3])
    assert.equal(claims(session.access_token).is_anonymous, true)
    const early = await supabase.auth.updateUser({ password: PASSWORD })
    assert.equal(early.error.status, 422)

    ok(await supabase.auth.updateUser({ email: address }))
    const token = codeIn(await mailTo(scene.app, address))
    ok(await supabase.auth.verifyOtp({ type: 'email_change', email: address, token }))
    ok(await supabase.auth.updateUser({ password: PASSWORD }))
    const kept = ok(await client(scene.app).auth.signInWithPassword({ email: address, password: PASSWORD }))
    assert.deepEqual([kept.user.id, kept.user.is_anonymous, kept.user.user_metadata.cart], [user.id, false, 3])
    assert.equal(claims(kept.session.access_token).is_anonymous, false)
    assert.deepEqual(kept.user.identities.map((identity) => identity.provider), ['email'])
  })

  it('of guests become permanent by a provider, who then signs them in', async () => {
    const supabase = keeper(scene.app, { flowType: 'pkce' })
    const { user } = ok(await supabase.auth.signInAnonymously())
    issuer.person = { sub: `guest-${user.id}`, email: email('linked'), email_verified: true, name: 'Gus' }
    const { url } = ok(await supabase.auth.linkIdentity({ provider: 'google', options: { redirectTo: `${SITE}/kept` } }))
    const landed = await home(url)
    const { session } = ok(await supabase.auth.exchangeCodeForSession(landed.searchParams.get('code')))
    assert.deepEqual([session.user.id, session.user.is_anonymous, session.user.email], [user.id, false, issuer.person.email])
    const elsewhere = keeper(scene.app, { flowType: 'implicit' })
    const again = await home(ok(await elsewhere.auth.signInWithOAuth({ provider: 'google' })).url)
    assert.equal(claims(fragment(again).get('access_token')).sub, user.id)
  })

  it('are linked by hand with an ID token, once in the world', async () => {
    const [ann, bob] = [await member(), await member()]
    issuer.person = { sub: `token-${ann.user.id}`, email: email('other'), email_verified: true }
    const linking = { provider: 'google', token: issuer.token() }
    const { user } = ok(await ann.supabase.auth.linkIdentity(linking))
    assert.deepEqual([user.id, user.email], [ann.user.id, ann.address])
    const identities = ok(await ann.supabase.auth.getUserIdentities()).identities
    assert.deepEqual(identities.map((identity) => identity.provider).sort(), ['email', 'google'])
    assert.ok((await bob.supabase.auth.linkIdentity({ provider: 'google', token: issuer.token() })).error, 'it is taken')
    const { url } = ok(await bob.supabase.auth.linkIdentity({ provider: 'google' }))
    const refused = await home(url)
    assert.equal(refused.searchParams.get('error_code') ?? fragment(refused).get('error_code'), 'identity_already_exists')

    const byToken = ok(await client(scene.app).auth.signInWithIdToken({ provider: 'google', token: issuer.token() }))
    assert.equal(byToken.user.id, ann.user.id)
    const google = identities.find((identity) => identity.provider === 'google')
    assert.equal((await bob.supabase.auth.unlinkIdentity(google)).error.status, 422)
    assert.equal(ok(await ann.supabase.auth.getUserIdentities()).identities.length, 2)
    ok(await ann.supabase.auth.unlinkIdentity(google))
    const [last] = ok(await ann.supabase.auth.getUserIdentities()).identities
    assert.equal((await ann.supabase.auth.unlinkIdentity(last)).error.code, 'single_identity_not_deletable')
    const fresh = ok(await client(scene.app).auth.signInWithIdToken({ provider: 'google', token: issuer.token() }))
    assert.notEqual(fresh.user.id, ann.user.id)
  })

  it('get a new password by the link of a mail, where it was asked for', async () => {
    const { supabase: old, address, user } = await member()
    const supabase = keeper(scene.app, { flowType: 'pkce' })
    const events = []
    supabase.auth.onAuthStateChange((event) => void events.push(event))
    ok(await supabase.auth.resetPasswordForEmail(address, { redirectTo: `${SITE}/new-password` }))
    const link = linkIn(await mailTo(scene.app, address, 2))
    assert.equal((await follow(link, { method: 'HEAD' })).status, 405)
    const landed = new URL((await follow(link)).location)
    assert.equal(landed.pathname, '/new-password')
    const code = landed.searchParams.get('code')
    assert.ok((await keeper(scene.app, { flowType: 'pkce' }).auth.exchangeCodeForSession(code)).error, 'elsewhere it is of no use')
    const { session } = ok(await supabase.auth.exchangeCodeForSession(code))
    assert.deepEqual([session.user.id, claims(session.access_token).amr[0].method], [user.id, 'recovery'])
    assert.ok(events.includes('PASSWORD_RECOVERY'), events.join())
    assert.equal((await supabase.auth.updateUser({ password: PASSWORD })).error.code, 'same_password')
    ok(await supabase.auth.updateUser({ password: 'another-good-password' }))
    assert.equal((await mailTo(scene.app, address, 3)).Subject, 'Your password was changed')
    assert.equal((await old.auth.getUser()).error.name, 'AuthSessionMissingError')
    assert.equal((await client(scene.app).auth.signInWithPassword({ email: address, password: PASSWORD })).error.code, 'invalid_credentials')
    ok(await client(scene.app).auth.signInWithPassword({ email: address, password: 'another-good-password' }))
    assert.match((await follow(link)).location, /error_code=otp_expired/)
  })

  it('are not told apart from unknown ones', async () => {
    const { address } = await member()
    const supabase = client(scene.app)
    const unknown = email('nobody')
    for (const [known, other] of [
      [await supabase.auth.resetPasswordForEmail(address), await supabase.auth.resetPasswordForEmail(unknown)],
      [await supabase.auth.resend({ type: 'signup', email: address }), await supabase.auth.resend({ type: 'signup', email: unknown })],
      [await supabase.auth.signInWithPassword({ email: address, password: 'wrong-one' }), await supabase.auth.signInWithPassword({ email: unknown, password: 'wrong-one' })],
    ]) {
      assert.deepEqual([known.error?.code, known.error?.message, known.data], [other.error?.code, other.error?.message, other.data])
    }
    const taken = ok(await supabase.auth.signUp({ email: address, password: PASSWORD }))
    const fresh = ok(await supabase.auth.signUp({ email: unknown, password: PASSWORD }))
    assert.deepEqual([taken.session, fresh.session, taken.user.identities], [null, null, []])
    assert.deepEqual(Object.keys(taken.user).sort(), Object.keys(fresh.user).sort())
  })

  it('take the code of a mail with a new password, and end other sessions', async () => {
    const { supabase, address } = await member()
    ok(await supabase.auth.reauthenticate())
    const nonce = codeIn(await mailTo(scene.app, address, 2))
    ok(await supabase.auth.updateUser({ password: 'another-good-password', nonce }))
    ok(await supabase.auth.signOut({ scope: 'others' }))
    ok(await supabase.auth.getUser())
    await supabase.auth.signOut()
    assert.equal(ok(await supabase.auth.getSession()).session, null)
  })
}, { mail: true })
