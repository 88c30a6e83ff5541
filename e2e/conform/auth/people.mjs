// Names, passwords and steps that the cases share.

const run = Date.now().toString(36)

/** The same address on both sides, another one in every run. */
export const address = (name) => `${name}.${run}@example.com`
export const PASSWORD = 'correct-horse-battery'

/** Remembers the session of an answer under a name: `<name>.access`, `.refresh`, `.id`. */
export const keepSession = (name) => (vars, body) => {
  vars[name] = { access: body.access_token, refresh: body.refresh_token, id: body.user?.id, user: body.user }
}

/** A confirmed user, made and signed in; three requests on both sides. */
export async function person(both, name, attributes = {}) {
  const email = address(name)
  await both(
    `${name}: created by the admin`,
    (_, side) => ({
      method: 'POST',
      path: '/admin/users',
      bearer: side.admin,
      body: { email, password: PASSWORD, email_confirm: true, ...attributes },
    }),
  )
  await both(
    `${name}: signs in`,
    { method: 'POST', path: '/token?grant_type=password', body: { email, password: PASSWORD } },
    keepSession(name),
  )
  return email
}

/** The six digits of an authenticator application for a base32 secret. */
export async function totp(secret, step = 0) {
  const { createHmac } = await import('node:crypto')
  let bits = ''
  for (const c of secret.replaceAll('=', '')) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + step))
  const hash = createHmac('sha1', key).update(counter).digest()
  const at = hash[19] & 15
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}
