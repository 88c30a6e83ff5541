// Sign-in elsewhere: providers, single sign-on, wallets, passkeys, identities.
import { person } from '../people.mjs'

const NOBODY = '6a9d4f2e-8f8e-4c57-9f2e-3d5b8b0d7a11'

export default async function (both) {
  const post = (path, body) => ({ method: 'POST', path, body })
  await both('authorize', { path: '/authorize?provider=github' })
  await both('authorize with scopes', { path: '/authorize?provider=github&scopes=repo%20gist&redirect_to=https://app.example.com/x' })
  await both('authorize with a challenge', { path: `/authorize?provider=github&code_challenge=${'x'.repeat(43)}&code_challenge_method=s256` })
  await both('authorize with a challenge alone', { path: `/authorize?provider=github&code_challenge=${'x'.repeat(43)}` })
  await both('authorize at a provider that is off', { path: '/authorize?provider=google' })
  await both('authorize at an unknown provider', { path: '/authorize?provider=nonsense' })
  await both('authorize at none', { path: '/authorize' })
  await both('authorize with an unknown invite', { path: '/authorize?provider=github&invite_token=x' })
  await both('callback without state', { path: '/callback' })
  await both('callback with a wrong state', { path: '/callback?state=x&code=y' })
  await both('callback with an unknown state', { path: `/callback?state=${NOBODY}&code=y` })
  await both('callback with an error', { path: '/callback?error=access_denied&error_description=no' })
  await both('posted callback without state', { method: 'POST', path: '/callback', form: { code: 'x' } })

  for (const body of [{}, { provider: 'google' }, { provider: 'google', id_token: 'x' }, { id_token: 'x', issuer: 'https://nobody.example.com', client_id: 'x' }, { provider: 'nonsense', id_token: 'x' }]) {
    await both(`id_token with ${Object.keys(body).join(' and ') || 'nothing'} ${body.provider ?? ''}`, post('/token?grant_type=id_token', body))
  }
  for (const body of [{}, { chain: 'ethereum' }, { chain: 'dogecoin', message: 'x', signature: 'y' }, { chain: 'solana', message: 'x', signature: 'y' }]) {
    await both(`web3 with ${body.chain ?? 'nothing'}`, post('/token?grant_type=web3', body))
  }
  await both('sso of nothing', post('/sso', {}))
  await both('sso of a domain', post('/sso', { domain: 'example.com' }))
  await both('sso of a provider', post('/sso', { provider_id: NOBODY }))
  await both('saml metadata', { path: '/sso/saml/metadata' })
  await both('saml acs', { method: 'POST', path: '/sso/saml/acs', form: { SAMLResponse: 'x' } })
  await both('passkey authentication', post('/passkeys/authentication/options', {}))
  await both('passkey authentication verified', post('/passkeys/authentication/verify', {}))

  await person(both, 'linker')
  const own = (method, path, body) => (vars) => ({ method, path, body, bearer: vars.linker.access })
  await both('passkeys', own('GET', '/passkeys'))
  await both('passkey registration', own('POST', '/passkeys/registration/options', {}))
  await both('link an identity', own('GET', '/user/identities/authorize?provider=github&skip_http_redirect=true'))
  await both('link an identity by redirect', own('GET', '/user/identities/authorize?provider=github'))
  await both('link at an unknown provider', own('GET', '/user/identities/authorize?provider=nonsense'))
  await both('unlink the only identity', (vars) => ({ method: 'DELETE', path: `/user/identities/${vars.linker.user.identities[0].identity_id}`, bearer: vars.linker.access }))
  await both('unlink an unknown identity', own('DELETE', `/user/identities/${NOBODY}`))
  await both('unlink by a name', own('DELETE', '/user/identities/x'))
  const admin = (method, path, body) => (vars, side) => ({ method, path, body, bearer: side.admin })
  await both('custom providers', admin('GET', '/admin/custom-providers'))
  await both('custom provider of nothing', admin('POST', '/admin/custom-providers', {}))
  await both('unknown custom provider', admin('GET', '/admin/custom-providers/custom:x'))
}
