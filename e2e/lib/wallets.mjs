// Wallets with real keys, behind the interfaces that the client expects of those in a browser.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

const hex = (bytes) => Buffer.from(bytes).toString('hex')

/** A wallet of Ethereum (EIP-1193). */
export class Ethereum {
  key = randomBytes(32)

  /** As wallets show it: capitals are its checksum (EIP-55). */
  get address() {
    const point = secp256k1.getPublicKey(this.key, false)
    const plain = hex(keccak_256(point.slice(1)).slice(-20))
    const digits = hex(keccak_256(Buffer.from(plain)))
    return `0x${[...plain].map((c, n) => (parseInt(digits[n], 16) >= 8 ? c.toUpperCase() : c)).join('')}`
  }

  sign(message) {
    const bytes = Buffer.from(message)
    const digest = keccak_256(Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${bytes.length}`), bytes]))
    const signature = secp256k1.sign(digest, this.key, { prehash: false, format: 'recovered' })
    const [recovery, ...rest] = signature
    return `0x${hex(rest)}${hex([27 + recovery])}`
  }

  async request({ method, params }) {
    switch (method) {
      case 'eth_requestAccounts':
        return [this.address]
      case 'eth_chainId':
        return '0x1'
      case 'personal_sign':
        return this.sign(Buffer.from(params[0].slice(2), 'hex').toString())
      default:
        throw new Error(`${method} is not for this wallet`)
    }
  }
}

/** A wallet of Solana that signs any message, as most do. */
export class Solana {
  keys = generateKeyPairSync('ed25519')
  publicKey = {
    toBase58: () => base58(this.keys.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)),
  }

  async signMessage(bytes) {
    return new Uint8Array(sign(null, bytes, this.keys.privateKey))
  }
}

/** One that writes the message by itself (Sign In With Solana). */
export class SolanaSigner {
  wallet = new Solana()

  async signIn({ domain, uri, version, issuedAt, statement, nonce, chainId, expirationTime, resources }) {
    const lines = [`${domain} wants you to sign in with your Solana account:`, this.wallet.publicKey.toBase58()]
    if (statement) lines.push('', statement)
    lines.push('', `URI: ${uri}`, `Version: ${version}`)
    if (chainId) lines.push(`Chain ID: ${chainId}`)
    if (nonce) lines.push(`Nonce: ${nonce}`)
    lines.push(`Issued At: ${issuedAt}`)
    if (expirationTime) lines.push(`Expiration Time: ${expirationTime}`)
    if (resources) lines.push('Resources:', ...resources.map((resource) => `- ${resource}`))
    const signedMessage = new TextEncoder().encode(lines.join('\n'))
    return [{ signedMessage, signature: await this.wallet.signMessage(signedMessage) }]
  }
}


function base58(bytes) {
  const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let number = BigInt(`0x${hex(bytes)}`)
  let text = ''
  for (; number > 0n; number /= 58n) text = digits[Number(number % 58n)] + text
  return '1'.repeat(bytes.findIndex((byte) => byte !== 0)) + text
}
