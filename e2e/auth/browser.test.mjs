// Passkeys, security keys and mails in a real browser: Chromium with the virtual authenticators of its DevTools, a page on
// http://localhost with the published client, and the project on another origin.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Browser, chromium } from '../lib/chromium.mjs'
import { PASSWORD, claims, client, email } from '../lib/client.mjs'
import { Site } from '../lib/site.mjs'
import { inBothTenancies, local, mailTo, ok, startWith } from '../lib/tenancies.mjs'
import { cleanUp } from '../lib/program.mjs'

if (chromium) suite()
else it('needs a browser', { skip: 'Chromium is not installed (scripts/setup.sh e2e)' }, () => {})

function suite() {
  let site, other, browser
  before(async () => {
    ;[site, other, browser] = [await Site.listen(), await Site.listen(), await Browser.launch()]
  })
  after(async () => {
    await browser?.close()
    await site.close()
    await other.close()
  })

  const toml = () => `
[auth]
site_url = "${site.url}"
[auth.passkey]
enabled = true
[auth.webauthn]
rp_id = "localhost"
rp_display_name = "An app"
rp_origins = ["${site.url}"]
[auth.mfa.web_authn]
enroll_enabled = true
verify_enabled = true
`

  inBothTenancies('in a browser', toml, (scene) => {
    async function visit(url = site.url) {
      const page = await browser.page(url)
      await page.run((url, key) => connect(url, key), scene.app.url, scene.app.anonKey)
      return page
    }

    /** Calls the client in the page: `client.auth.…`, answered as data or error. */
    const auth = (page, method, ...args) =>
      page.run(async (method, args) => {
        const path = method.split('.')
        const owner = path.slice(0, -1).reduce((object, name) => object[name], client.auth)
        const { data, error } = await owner[path.at(-1)](...args)
        return { data, error: error && { name: error.name, message: error.message, code: error.code, status: error.status } }
      }, method, args)

    const good = async (...call) => {
      const { data, error } = await auth(...call)
      assert.equal(error, null, `${call[1]}: ${JSON.stringify(error)}`)
      return data
    }

    async function member(page) {
      const address = email('browser')
      const { user } = await good(page, 'signUp', { email: address, password: PASSWORD })
      return { address, user }
    }

    it('a passkey is made, found again without a name, renamed and deleted', async () => {
      const page = await visit()
      const device = await page.authenticator()
      const { address, user } = await member(page)
      const made = await good(page, 'registerPasskey')
      assert.ok(made.id && made.friendly_name, JSON.stringify(made))
      const [credential] = await page.credentials(device)
      assert.deepEqual([credential.isResidentCredential, credential.rpId], [true, 'localhost'])
      assert.equal(Buffer.from(credential.userHandle, 'base64').toString(), user.id)

      await good(page, 'signOut')
      const { session } = await good(page, 'signInWithPasskey')
      assert.equal(session.user.email, address)
      const token = claims(session.access_token)
      assert.deepEqual([token.sub, token.aal, token.amr.map(({ method }) => method)], [user.id, 'aal1', ['passkey']])
      assert.equal((await good(page, 'getUser')).user.id, user.id)
      await good(page, 'refreshSession')
      assert.equal((await page.credentials(device))[0].signCount, credential.signCount + 1)

      const renamed = await good(page, 'passkey.update', { passkeyId: made.id, friendlyName: 'My laptop' })
      assert.equal(renamed.friendly_name, 'My laptop')
      const [listed] = await good(page, 'passkey.list')
      assert.ok(listed.last_used_at, JSON.stringify(listed))
      const admin = client(scene.app, scene.app.serviceKey)
      admin.auth.admin.experimental = { passkey: true }
      const seen = ok(await admin.auth.admin.passkey.listPasskeys({ userId: user.id }))
      assert.deepEqual(seen.map(({ id, friendly_name: name }) => [id, name]), [[made.id, 'My laptop']])
      await good(page, 'passkey.delete', { passkeyId: made.id })
      await good(page, 'signOut')
      const gone = await auth(page, 'signInWithPasskey')
      assert.equal(gone.error.code, 'webauthn_verification_failed', JSON.stringify(gone.error))
      assert.deepEqual(page.complaints.filter((text) => !/status of 4\d\d/.test(text)), [])
      await page.close()
    })

    it('a device is not registered twice, and another one is', async () => {
      const page = await visit()
      const first = await page.authenticator()
      await member(page)
      await good(page, 'registerPasskey')
      const again = await auth(page, 'registerPasskey')
      assert.equal(again.error?.code, 'ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED', JSON.stringify(again))
      await page.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: first })
      await page.authenticator({ transport: 'usb' })
      await good(page, 'registerPasskey')
      assert.equal((await good(page, 'passkey.list')).length, 2)
      await page.close()
    })

    it('a passkey answers nobody but its site', async () => {
      const page = await visit()
      const device = await page.authenticator()
      await member(page)
      await good(page, 'registerPasskey')
      const [credential] = await page.credentials(device)
      // The same host, another port: the browser lets it, the server does not.
      const phish = await visit(other.url)
      const theirs = await phish.authenticator()
      await phish.send('WebAuthn.addCredential', { authenticatorId: theirs, credential })
      const refused = await auth(phish, 'signInWithPasskey')
      assert.equal(refused.error?.code, 'webauthn_verification_failed', JSON.stringify(refused))
      // Another host: the browser does not even ask.
      const stranger = await visit(site.url.replace('localhost', '127.0.0.1'))
      await stranger.authenticator()
      assert.equal((await auth(stranger, 'signInWithPasskey')).error?.name, 'SecurityError')
      await stranger.close()
      // A copy whose counter stayed behind is found out.
      await good(page, 'signOut')
      await good(page, 'signInWithPasskey')
      await page.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: device })
      const copy = await page.authenticator()
      await page.send('WebAuthn.addCredential', { authenticatorId: copy, credential: { ...credential, signCount: 0 } })
      const behind = await auth(page, 'signInWithPasskey')
      assert.equal(behind.error?.code, 'webauthn_verification_failed', JSON.stringify(behind))
      await phish.close()
      await page.close()
    })

    it('a security key is a second factor', async () => {
      const page = await visit()
      await page.authenticator({ transport: 'usb', hasResidentKey: false, hasUserVerification: false, isUserVerified: false })
      const { address } = await member(page)
      const raised = await good(page, 'mfa.webauthn.register', { friendlyName: 'Blue key' })
      const token = claims(raised.access_token)
      assert.deepEqual([token.aal, token.amr[0].method], ['aal2', 'mfa/webauthn'])
      const { webauthn: [factor] } = await good(page, 'mfa.listFactors')
      assert.deepEqual([factor.friendly_name, factor.status], ['Blue key', 'verified'])

      await good(page, 'signOut')
      await good(page, 'signInWithPassword', { email: address, password: PASSWORD })
      const before = await good(page, 'mfa.getAuthenticatorAssuranceLevel')
      assert.deepEqual([before.currentLevel, before.nextLevel], ['aal1', 'aal2'])
      await good(page, 'mfa.webauthn.authenticate', { factorId: factor.id })
      const now = await good(page, 'mfa.getAuthenticatorAssuranceLevel')
      assert.deepEqual([now.currentLevel, now.nextLevel], ['aal2', 'aal2'])
      await good(page, 'mfa.unenroll', { factorId: factor.id })
      await good(page, 'refreshSession')
      assert.equal((await good(page, 'mfa.getAuthenticatorAssuranceLevel')).currentLevel, 'aal1')
      await page.close()
    })
  })

  describe('mail in a browser', () => {
    let program, app
    before(async () => {
      program = await startWith(`
[auth]
site_url = "${site.url}"
[auth.email]
enable_confirmations = true
confirm_page = true
max_frequency = "1ms"
`)
      app = local(program)
    })
    after(() => cleanUp(program))

    it('leads from the inbox over the page with the button into the app', async () => {
      const address = email('inbox')
      ok(await client(app).auth.signUp({ email: address, password: PASSWORD }))
      await mailTo(app, address)
      const inbox = await browser.page(app.mail)
      await inbox.click('#list a')
      await inbox.until('the message is open', (address) => document.querySelector('#people')?.textContent.includes(address), address)
      const link = await inbox.until('the link', () => document.querySelector('#finds a')?.href)
      await inbox.shot('catcher')
      assert.deepEqual(inbox.complaints, [])

      const page = await browser.page(link)
      assert.equal(await page.run(() => document.querySelector('h1').textContent), 'Confirm your email address')
      await page.shot('confirm')
      // Looking at it, twice, used nothing up.
      await page.goto(link)
      await page.click('button')
      await page.until('the app', (site) => location.origin === site && typeof connect === 'function', site.url)
      await page.run((url, key) => connect(url, key), app.url, app.anonKey)
      const { data: { session } } = await page.run(async () => client.auth.getSession())
      assert.equal(session.user.email, address)
      assert.equal(await page.run(() => location.hash), '', 'the tokens do not stay in the address')
      await page.goto(link)
      await page.click('button')
      await page.until('the app again', () => /error_code=otp_expired/.test(location.hash))
      assert.deepEqual(page.complaints, [])
      await page.close()
      await inbox.close()
    })
  })
}
