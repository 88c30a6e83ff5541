// Single sign-on with the published client: a company's identity provider that signs with a library of its own.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { claims } from '../lib/client.mjs'
import { IdentityProvider } from '../lib/idp.mjs'
import { inBothTenancies, keeper, ok } from '../lib/tenancies.mjs'

const SITE = 'http://localhost:3000'
const TOML = `
[auth]
site_url = "${SITE}"
additional_redirect_urls = ["${SITE}/**"]
[auth.saml]
enabled = true
`

inBothTenancies('single sign-on', () => TOML, (scene) => {
  const idp = new IdentityProvider('https://idp.corp.example')
  let provider

  async function admin(method, path, body) {
    const { url, serviceKey } = scene.app
    const headers = { apikey: serviceKey, authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json' }
    const response = await fetch(`${url}/auth/v1/admin/sso/providers${path}`, { method, headers, body: JSON.stringify(body) })
    return { status: response.status, body: await response.json() }
  }

  async function metadata() {
    const response = await fetch(`${scene.app.url}/auth/v1/sso/saml/metadata`)
    assert.match(response.headers.get('content-type'), /^application\/xml/)
    return response.text()
  }

  /** Begins a sign-in with the client and has the provider read the request. */
  async function begin(supabase, options) {
    const { url } = ok(await supabase.auth.signInWithSSO(options))
    return idp.receive(url, await metadata())
  }

  /** Brings a response back as a browser does; returns where it is sent. */
  async function post(response, relayState) {
    const body = new URLSearchParams({ SAMLResponse: Buffer.from(response).toString('base64') })
    if (relayState !== undefined) body.set('RelayState', relayState)
    const answer = await fetch(`${scene.app.url}/auth/v1/sso/saml/acs`, { method: 'POST', body, redirect: 'manual' })
    return new URL(answer.headers.get('location') ?? `error:${answer.status} ${await answer.text()}`)
  }

  const answerTo = (request, nameId, more = {}) => idp.respond({ ...request, request, nameId, ...more })

  it('is set up by an administrator with the metadata of the company', async () => {
    const made = await admin('POST', '', {
      type: 'saml',
      metadata_xml: idp.metadata(),
      domains: ['corp.example'],
      attribute_mapping: { keys: { name: { name: 'displayName' }, groups: { name: 'memberOf', array: true } } },
    })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    provider = made.body.id
    assert.equal(made.body.saml.entity_id, idp.entityId)
    const again = await admin('POST', '', { type: 'saml', metadata_xml: idp.metadata() })
    assert.deepEqual([again.status, again.body.error_code], [422, 'saml_idp_already_exists'])
    const settings = await fetch(`${scene.app.url}/auth/v1/settings`, { headers: { apikey: scene.app.anonKey } })
    assert.equal((await settings.json()).saml_enabled, true)
  })

  it('signs in by the domain of the company, with a code for who began', async () => {
    const supabase = keeper(scene.app, { flowType: 'pkce' })
    const request = await begin(supabase, { domain: 'CORP.example', options: { redirectTo: `${SITE}/in?a=1` } })
    assert.equal(request.issuer, `${scene.app.url}/auth/v1/sso/saml/metadata`)
    assert.equal(request.acs, `${scene.app.url}/auth/v1/sso/saml/acs`)
    const response = answerTo(request, 'Ann@Corp.example', {
      attributes: { displayName: 'Ann &amp; Co', memberOf: ['admins', 'cooks'] },
    })
    const home = await post(response, request.relayState)
    assert.deepEqual([home.pathname, home.searchParams.get('a')], ['/in', '1'], home.href)
    const code = home.searchParams.get('code')
    assert.ok((await keeper(scene.app, { flowType: 'pkce' }).auth.exchangeCodeForSession(code)).error)
    const { user, session } = ok(await supabase.auth.exchangeCodeForSession(code))
    assert.equal(user.email, 'ann@corp.example')
    assert.equal(user.user_metadata.name, 'Ann & Co')
    assert.deepEqual(user.user_metadata.custom_claims, { groups: ['admins', 'cooks'] })
    assert.deepEqual(claims(session.access_token).amr.map((entry) => [entry.method, entry.provider]), [['sso/saml', provider]])
    assert.equal(ok(await supabase.auth.getUser()).user.id, user.id)
    ok(await supabase.auth.refreshSession())
    assert.equal((await supabase.auth.updateUser({ email: 'x@y.example' })).error.code, 'user_sso_managed')
    const again = await post(response, request.relayState)
    assert.equal(again.searchParams.get('error_code'), 'saml_relay_state_not_found')
  })

  it('signs in by the id of the provider, with tokens in the address', async () => {
    const supabase = keeper(scene.app, { flowType: 'implicit' })
    const request = await begin(supabase, { providerId: provider })
    const home = await post(answerTo(request, 'bob@corp.example'), request.relayState)
    const got = new URLSearchParams(home.hash.slice(1))
    const tokens = { access_token: got.get('access_token'), refresh_token: got.get('refresh_token') }
    assert.equal(ok(await supabase.auth.setSession(tokens)).user.email, 'bob@corp.example')
    assert.equal(ok(await supabase.auth.getUser()).user.app_metadata.provider, `sso:${provider}`)
  })

  it('takes sign-ins that begin at the company', async () => {
    const own = await begin(keeper(scene.app), { providerId: provider })
    const home = await post(idp.respond({ ...own, nameId: 'cat@corp.example' }), `${SITE}/start`)
    assert.equal(home.pathname, '/start')
    assert.ok(home.hash.includes('access_token='), home.href)
  })

  it('believes nothing that was changed, is for somebody else or comes from somebody else', async () => {
    const supabase = keeper(scene.app)
    const stranger = new IdentityProvider(idp.entityId)
    const cases = {
      changed: (request) => answerTo(request, 'eve@corp.example').replace('eve@corp', 'ann@corp'),
      unsigned: (request) => answerTo(request, 'eve@corp.example').replace(/<ds:Signature[^]*<\/ds:Signature>/, ''),
      'of a stranger': (request) => stranger.respond({ ...request, request, nameId: 'ann@corp.example' }),
      'for another': (request) => answerTo({ ...request, issuer: 'https://other.example' }, 'ann@corp.example'),
      'to another request': (request) => idp.respond({ ...request, request: { id: 'id-1' }, nameId: 'ann@corp.example' }),
      wrapped: (request) => {
        const good = answerTo(request, 'eve@corp.example')
        const [assertion] = good.match(/<saml:Assertion[^]*<\/saml:Assertion>/)
        const evil = assertion.replace(/<ds:Signature[^]*<\/ds:Signature>/, '').replace('eve@', 'ann@').replace(/ID="_[^"]*"/, 'ID="evil"')
        return good.replace(assertion, evil + assertion)
      },
      'two names in one': (request) => answerTo(request, 'ann@corp.example<!-- -->.evil.example'),
    }
    for (const [name, make] of Object.entries(cases)) {
      const request = await begin(supabase, { providerId: provider })
      const home = await post(make(request), request.relayState)
      if (name === 'two names in one') {
        // A comment is not part of the text: nobody is cut short to somebody else.
        const got = new URLSearchParams(home.hash.slice(1))
        const email = got.has('access_token') ? claims(got.get('access_token')).email : null
        assert.notEqual(email, 'ann@corp.example')
      } else {
        assert.equal(home.hash, '', `${name}: ${home.href}`)
        assert.equal(home.searchParams.get('error_code'), 'validation_failed', `${name}: ${home.href}`)
      }
    }
  })

  it('is refused for domains that nobody has, and when the provider is switched off', async () => {
    const supabase = keeper(scene.app)
    const unknown = await supabase.auth.signInWithSSO({ domain: 'elsewhere.example' })
    assert.deepEqual([unknown.error.status, unknown.error.code], [404, 'sso_provider_not_found'])
    const off = await admin('PUT', `/${provider}`, { disabled: true })
    assert.equal(off.body.disabled, true)
    const refused = await supabase.auth.signInWithSSO({ domain: 'corp.example' })
    assert.deepEqual([refused.error.status, refused.error.code], [404, 'sso_provider_disabled'])
    await admin('PUT', `/${provider}`, { disabled: false })
    ok(await supabase.auth.signInWithSSO({ domain: 'corp.example' }))
  })
})
