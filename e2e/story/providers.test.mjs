// Sign-in by others: the published client, the real binary and a provider that signs what it says.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import { client, member } from '../lib/client.mjs'
import { CLIENT, Issuer } from '../lib/issuer.mjs'
import { cleanUp, scratch, start } from '../lib/program.mjs'

let program, app, issuer
const SITE = 'http://127.0.0.1:3000'

before(async () => {
  issuer = await Issuer.listen()
  const dir = scratch()
  fs.mkdirSync(path.join(dir, 'supabase'))
  fs.writeFileSync(
    path.join(dir, 'supabase/config.toml'),
    `[auth]
site_url = "${SITE}"
enable_manual_linking = true
[auth.external.google]
enabled = true
client_id = "${CLIENT.id},another-client"
secret = "${CLIENT.secret}"
url = "${issuer.url}"
`,
  )
  program = await start({ dir })
  const { API_URL, ANON_KEY, SERVICE_ROLE_KEY } = program.env
  app = { url: API_URL, anonKey: ANON_KEY, serviceKey: SERVICE_ROLE_KEY }
})

after(async () => {
  await cleanUp(program)
  await issuer.close()
})

function browser(flowType) {
  const items = new Map()
  const storage = {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  }
  return createClient(app.url, app.anonKey, {
    auth: { flowType, storage, persistSession: true, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport: WebSocket },
  })
}

/** Goes where redirects lead until they leave for the site; returns that address. */
async function follow(url) {
  for (let step = 0; step < 5; step++) {
    if (url.startsWith(SITE)) return new URL(url)
    const response = await fetch(url, { redirect: 'manual' })
    assert.equal(response.status, 302, `${url}: ${await response.text()}`)
    url = response.headers.get('location')
  }
  throw new Error(`too many redirects, last to ${url}`)
}

const fragment = (url) => new URLSearchParams(url.hash.slice(1))

describe('sign-in by a provider', () => {
  it('is announced', async () => {
    const settings = await fetch(`${app.url}/auth/v1/settings`, { headers: { apikey: app.anonKey } })
    const { external } = await settings.json()
    assert.deepEqual([external.google, external.github], [true, false])
  })

  it('ends with a code for whoever began it', async () => {
    const supabase = browser('pkce')
    issuer.person = { sub: 'p-pkce', email: 'pkce@example.com', email_verified: true, name: 'Ann Lee' }
    const { data, error } = await supabase.auth.signInWithOAuth({
      provider: 'google',
      options: { skipBrowserRedirect: true, redirectTo: `${SITE}/in`, scopes: 'calendar' },
    })
    assert.ifError(error)
    const home = await follow(data.url)
    assert.equal(home.pathname, '/in')
    const code = home.searchParams.get('code')
    const stranger = await browser('pkce').auth.exchangeCodeForSession(code)
    assert.ok(stranger.error)
    const { data: signedIn, error: refused } = await supabase.auth.exchangeCodeForSession(code)
    assert.ifError(refused)
    assert.equal(signedIn.user.email, 'pkce@example.com')
    assert.equal(signedIn.user.user_metadata.full_name, 'Ann Lee')
    assert.equal(signedIn.session.provider_token, 'their-access')
    const again = await supabase.auth.getUser()
    assert.equal(again.data.user.app_metadata.provider, 'google')
  })

  it('ends with a session in the implicit flow', async () => {
    const supabase = browser('implicit')
    issuer.person = { sub: 'p-implicit', email: 'implicit@example.com', email_verified: true }
    const { data } = await supabase.auth.signInWithOAuth({
      provider: 'google',
      options: { skipBrowserRedirect: true },
    })
    const got = fragment(await follow(data.url))
    const tokens = { access_token: got.get('access_token'), refresh_token: got.get('refresh_token') }
    const { data: session, error } = await supabase.auth.setSession(tokens)
    assert.ifError(error)
    assert.equal(session.user.email, 'implicit@example.com')
    assert.equal(got.get('provider_refresh_token'), 'their-refresh')
    assert.ifError((await supabase.auth.refreshSession()).error)
  })

  it('tells of an error where the sign-in began', async () => {
    const supabase = browser('implicit')
    issuer.person = { sub: 'p-none' }
    const { data } = await supabase.auth.signInWithOAuth({
      provider: 'google',
      options: { skipBrowserRedirect: true, redirectTo: `${SITE}/in?a=b` },
    })
    const home = await follow(data.url)
    assert.equal(home.searchParams.get('a'), 'b')
    assert.equal(fragment(home).get('error'), 'server_error')
  })

  it('takes ID tokens with their nonce, for this client only', async () => {
    const supabase = client(app)
    issuer.person = { sub: 'p-token', email: 'token@example.com', email_verified: true }
    const nonce = createHash('sha256').update('n-1').digest('hex')
    const token = issuer.token({ nonce, aud: 'another-client' })
    const signIn = (token, nonce) => supabase.auth.signInWithIdToken({ provider: 'google', token, nonce })
    const { data, error } = await signIn(token, 'n-1')
    assert.ifError(error)
    assert.equal(data.user.email, 'token@example.com')
    assert.equal((await signIn(token, 'n-2')).error.status, 400)
    assert.equal((await signIn(issuer.token({ nonce, aud: 'a stranger' }), 'n-1')).error.status, 400)
    const [head, , signature] = token.split('.')
    const forged = Buffer.from(JSON.stringify({ iss: issuer.url, sub: 'admin' })).toString('base64url')
    assert.equal((await signIn(`${head}.${forged}.${signature}`)).error.status, 400)
  })

  it('adds identities to an account and takes them away', async () => {
    const { supabase, email } = await member(app, 'linker')
    issuer.person = { sub: 'p-linked', email: 'linked@example.com', email_verified: true }
    const { data, error } = await supabase.auth.linkIdentity({
      provider: 'google',
      options: { skipBrowserRedirect: true },
    })
    assert.ifError(error)
    assert.ok(fragment(await follow(data.url)).get('access_token'))
    const { data: linked } = await supabase.auth.getUserIdentities()
    assert.deepEqual(linked.identities.map((identity) => identity.provider).sort(), ['email', 'google'])
    assert.equal((await supabase.auth.getUser()).data.user.email, email)
    const google = linked.identities.find((identity) => identity.provider === 'google')
    assert.ifError((await supabase.auth.unlinkIdentity(google)).error)
    const { data: left } = await supabase.auth.getUserIdentities()
    assert.deepEqual(left.identities.map((identity) => identity.provider), ['email'])
  })

  it('works with a provider that an administrator defines', async () => {
    const admin = (method, path, body) =>
      fetch(`${app.url}/auth/v1/admin/custom-providers${path}`, {
        method,
        headers: { apikey: app.serviceKey, authorization: `Bearer ${app.serviceKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const made = await admin('POST', '', {
      provider_type: 'oidc', identifier: 'custom:corp', name: 'Corp', issuer: issuer.url,
      client_id: CLIENT.id, client_secret: CLIENT.secret, scopes: ['email'],
    })
    assert.equal(made.status, 201, await made.clone().text())
    assert.ok(!(await made.text()).includes(CLIENT.secret))
    const supabase = browser('pkce')
    issuer.person = { sub: 'p-corp', email: 'corp@example.com', email_verified: true }
    const { data } = await supabase.auth.signInWithOAuth({
      provider: 'custom:corp',
      options: { skipBrowserRedirect: true },
    })
    const home = await follow(data.url)
    const { data: signedIn, error } = await supabase.auth.exchangeCodeForSession(home.searchParams.get('code'))
    assert.ifError(error)
    assert.equal(signedIn.user.app_metadata.provider, 'custom:corp')
  })
})
