// Second factors with the published client: an authenticator app from its enrolment to its loss.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { PASSWORD, claims, client, email } from '../lib/client.mjs'
import { psql } from '../lib/program.mjs'
import { inBothTenancies, keeper, ok } from '../lib/tenancies.mjs'
import { totp } from '../lib/totp.mjs'

const TOML = `
[auth]
site_url = "http://localhost:3000"
[auth.mfa.totp]
enroll_enabled = true
verify_enabled = true
`

inBothTenancies('an authenticator app', () => TOML, (scene) => {
  async function member() {
    const [address, supabase] = [email('factor'), keeper(scene.app)]
    const { user } = ok(await supabase.auth.signUp({ email: address, password: PASSWORD }))
    return { supabase, address, user }
  }

  /** Enrols an app and proves it, with the code of the present step. */
  async function enrolled(supabase, friendlyName = 'phone') {
    const factor = ok(await supabase.auth.mfa.enroll({ factorType: 'totp', friendlyName }))
    const challenge = ok(await supabase.auth.mfa.challenge({ factorId: factor.id }))
    const code = totp(factor.totp.secret)
    ok(await supabase.auth.mfa.verify({ factorId: factor.id, challengeId: challenge.id, code }))
    return { id: factor.id, secret: factor.totp.secret, code }
  }

  async function signedIn(address) {
    const supabase = keeper(scene.app)
    ok(await supabase.auth.signInWithPassword({ email: address, password: PASSWORD }))
    return supabase
  }

  const levels = async (supabase) => {
    const { currentLevel, nextLevel } = ok(await supabase.auth.mfa.getAuthenticatorAssuranceLevel())
    return [currentLevel, nextLevel]
  }

  it('is enrolled with a picture to scan, and raises the session', async () => {
    const { supabase, address } = await member()
    assert.deepEqual(await levels(supabase), ['aal1', 'aal1'])
    const factor = ok(await supabase.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone', issuer: 'Shop & Co' }))
    assert.match(decodeURIComponent(factor.totp.qr_code), /^data:image\/svg\+xml;utf-8,.*<svg[^]*<\/svg>/)
    const uri = new URL(factor.totp.uri)
    assert.deepEqual([uri.protocol, uri.host], ['otpauth:', 'totp'])
    assert.deepEqual([uri.searchParams.get('secret'), uri.searchParams.get('issuer')], [factor.totp.secret, 'Shop & Co'])
    assert.ok(decodeURIComponent(uri.pathname).includes(address), factor.totp.uri)

    const challenge = ok(await supabase.auth.mfa.challenge({ factorId: factor.id }))
    const verify = (code) => supabase.auth.mfa.verify({ factorId: factor.id, challengeId: challenge.id, code })
    const wrong = await verify(totp(factor.totp.secret, 100))
    assert.deepEqual([wrong.error.status, wrong.error.code], [422, 'mfa_verification_failed'])
    const raised = ok(await verify(totp(factor.totp.secret)))
    assert.deepEqual(claims(raised.access_token).amr.map((entry) => entry.method), ['totp', 'password'])
    assert.deepEqual(await levels(supabase), ['aal2', 'aal2'])
    assert.deepEqual(ok(await supabase.auth.mfa.listFactors()).totp.map(({ id, status }) => [id, status]), [[factor.id, 'verified']])
    assert.equal(JSON.stringify(ok(await supabase.auth.getUser())).includes(factor.totp.secret), false)
    ok(await supabase.auth.refreshSession())
    assert.deepEqual(await levels(supabase), ['aal2', 'aal2'])
  })

  it('is asked for at every sign-in, and each code is good once', async () => {
    const { supabase, address } = await member()
    const low = await signedIn(address)
    const { id, secret, code } = await enrolled(supabase)
    // Whoever was signed in without it no longer is.
    assert.equal((await low.auth.getUser()).error.name, 'AuthSessionMissingError')

    const again = await signedIn(address)
    assert.deepEqual(await levels(again), ['aal1', 'aal2'])
    const guarded = await again.auth.updateUser({ password: 'another-good-password' })
    assert.deepEqual([guarded.error.status, guarded.error.code], [401, 'insufficient_aal'])
    const more = await again.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'second' })
    assert.equal(more.error.code, 'insufficient_aal')
    const off = await again.auth.mfa.unenroll({ factorId: id })
    assert.deepEqual([off.error.status, off.error.code], [422, 'insufficient_aal'])
    const used = await again.auth.mfa.challengeAndVerify({ factorId: id, code })
    assert.equal(used.error.code, 'mfa_verification_failed')
    ok(await again.auth.mfa.challengeAndVerify({ factorId: id, code: totp(secret, 1) }))
    assert.deepEqual(await levels(again), ['aal2', 'aal2'])
    ok(await again.auth.updateUser({ password: 'another-good-password' }))
  })

  it('is given up by who has it, and taken away by an administrator', async () => {
    const { supabase, address, user } = await member()
    const [first, second] = [await enrolled(supabase), await enrolled(supabase, 'tablet')]
    const same = await supabase.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone' })
    assert.equal(same.error.code, 'mfa_factor_name_conflict')
    ok(await supabase.auth.mfa.unenroll({ factorId: first.id }))
    assert.deepEqual(ok(await supabase.auth.mfa.listFactors()).all.map(({ id }) => id), [second.id])

    const admin = client(scene.app, scene.app.serviceKey).auth.admin
    const { factors } = ok(await admin.mfa.listFactors({ userId: user.id }))
    assert.deepEqual(factors.map(({ id, friendly_name: name }) => [id, name]), [[second.id, 'tablet']])
    ok(await admin.mfa.deleteFactor({ userId: user.id, id: second.id }))
    assert.deepEqual(await levels(await signedIn(address)), ['aal1', 'aal1'])
    ok(await supabase.auth.refreshSession())
    assert.deepEqual(await levels(supabase), ['aal1', 'aal1'])
  })

  it('is nobody else\'s', async () => {
    const [ann, bob] = [await member(), await member()]
    const factor = await enrolled(ann.supabase)
    const foreign = await bob.supabase.auth.mfa.challenge({ factorId: factor.id })
    assert.deepEqual([foreign.error.status, foreign.error.code], [404, 'mfa_factor_not_found'])
    const removed = await bob.supabase.auth.mfa.unenroll({ factorId: factor.id })
    assert.equal(removed.error.code, 'mfa_factor_not_found')
    const anonymous = await client(scene.app).auth.mfa.enroll({ factorType: 'totp' })
    assert.ok(anonymous.error)
  })

  it('opens rows that a policy keeps for it', async (test) => {
    if (scene.isPooled) return test.skip('policies of pooled projects come from their model')
    const { db } = scene.app
    await psql(db, `create table public.secrets (id int primary key);
      insert into public.secrets values (7); alter table public.secrets enable row level security;
      create policy "second factor" on public.secrets to authenticated using ((select auth.jwt() ->> 'aal') = 'aal2');
      grant select on public.secrets to authenticated; notify pgrst, 'reload schema'`)
    const { supabase } = await member()
    const rows = async () => ok(await supabase.from('secrets').select('id'))
    assert.deepEqual(await rows(), [])
    await enrolled(supabase)
    assert.deepEqual(await rows(), [{ id: 7 }])
  })
})
