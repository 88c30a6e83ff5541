// Sign-in by wallets with the published client, which writes the messages: real keys of both chains.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { claims } from '../lib/client.mjs'
import { inBothTenancies, keeper, ok } from '../lib/tenancies.mjs'
import { Ethereum, Solana, SolanaSigner } from '../lib/wallets.mjs'

const SITE = 'https://app.example.com'
const TOML = `
[auth]
site_url = "${SITE}"
[auth.web3.ethereum]
enabled = true
[auth.web3.solana]
enabled = true
`
const statement = 'I accept the terms of service.'

inBothTenancies('sign-in by wallets', () => TOML, (scene) => {
  const url = `${SITE}/login`
  const signIn = (chain, wallet, more = {}, supabase = keeper(scene.app)) =>
    supabase.auth.signInWithWeb3({ chain, wallet, statement, ...more, options: { url, ...more.options } })

  it('knows a wallet of Ethereum again', async () => {
    const wallet = new Ethereum()
    const supabase = keeper(scene.app)
    const { user, session } = ok(await signIn('ethereum', wallet, {}, supabase))
    const address = wallet.address.toLowerCase()
    assert.deepEqual(user.app_metadata, { provider: 'web3', providers: ['web3'] })
    assert.deepEqual(user.identities.map((identity) => identity.id), [`web3:ethereum:${address}`])
    const known = user.identities[0].identity_data.custom_claims
    assert.deepEqual([known.address, known.chain, known.network, known.statement], [address, 'ethereum', '1', statement])
    assert.equal(claims(session.access_token).amr[0].method, 'web3')
    assert.equal(ok(await supabase.auth.getUser()).user.id, user.id)
    ok(await supabase.auth.refreshSession())
    const again = ok(await signIn('ethereum', wallet, { statement: undefined }))
    assert.equal(again.user.id, user.id)
    assert.notEqual(ok(await signIn('ethereum', new Ethereum())).user.id, user.id)
  })

  it('knows a wallet of Solana again, whoever writes the message', async () => {
    const wallet = new Solana()
    const signer = Object.assign(new SolanaSigner(), { wallet })
    const first = ok(await signIn('solana', wallet))
    assert.deepEqual(first.user.identities.map((identity) => identity.id), [`web3:solana:${wallet.publicKey.toBase58()}`])
    const chain = { signInWithSolana: { chainId: 'solana:mainnet', nonce: 'abcdefgh', resources: [`${SITE}/terms`] } }
    for (const second of [await signIn('solana', signer, { options: chain }), await signIn('solana', wallet, { statement: undefined })]) {
      assert.equal(ok(second).user.id, first.user.id)
    }
  })

  it('takes everything that the standard has in a message', async () => {
    const [soon, before] = [new Date(Date.now() + 60_000), new Date(Date.now() - 60_000)]
    const more = { nonce: 'n0nce-of-8', expirationTime: soon, notBefore: before, requestId: 'r/1', resources: [`${SITE}/a`, 'ipfs://b'] }
    ok(await signIn('ethereum', new Ethereum(), { options: { signInWithEthereum: { ...more, chainId: 137 } } }))
    const dates = { expirationTime: soon.toISOString(), notBefore: before.toISOString() }
    ok(await signIn('solana', new Solana(), { options: { signInWithSolana: { ...more, ...dates } } }))
  })

  it('takes a message once, and only from whom it is', async () => {
    const [wallet, thief] = [new Ethereum(), new Ethereum()]
    let text
    const recorder = {
      request(asked) {
        if (asked.method === 'personal_sign') text = Buffer.from(asked.params[0].slice(2), 'hex').toString()
        return wallet.request(asked)
      },
    }
    ok(await signIn('ethereum', recorder))
    const supabase = keeper(scene.app)
    const send = (message, signature) => supabase.auth.signInWithWeb3({ chain: 'ethereum', message, signature })
    assert.equal((await send(text, wallet.sign(text))).error.status, 400)
    const fresh = text.replace(/Issued At: .*/, `Issued At: ${new Date(Date.now() + 1000).toISOString()}`)
    assert.ok((await send(fresh, thief.sign(fresh))).error, 'signed by another')
    assert.ok((await send(fresh.replace('terms', 'deeds'), wallet.sign(fresh))).error, 'changed afterwards')
    ok(await send(fresh, wallet.sign(fresh)))
  })

  it('refuses messages for another site or another time', async () => {
    const elsewhere = await signIn('ethereum', new Ethereum(), { options: { url: 'https://evil.example/login' } })
    assert.equal(elsewhere.error.status, 400)
    const old = { issuedAt: new Date(Date.now() - 3_600_000) }
    assert.equal((await signIn('ethereum', new Ethereum(), { options: { signInWithEthereum: old } })).error.status, 400)
    const over = { issuedAt: new Date(Date.now() - 60_000), expirationTime: new Date(Date.now() - 30_000) }
    assert.equal((await signIn('ethereum', new Ethereum(), { options: { signInWithEthereum: over } })).error.status, 400)
    const early = { signInWithSolana: { notBefore: new Date(Date.now() + 300_000).toISOString() } }
    assert.equal((await signIn('solana', new Solana(), { options: early })).error.status, 400)
  })
})
