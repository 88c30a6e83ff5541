// Sign-up and the password grant.
import { PASSWORD, address, keepSession } from '../people.mjs'

export default async function (both) {
  const post = (path, body, headers) => ({ method: 'POST', path, body, headers })
  const email = address('ann')
  await both('signup', post('/signup', { email, password: PASSWORD, data: { name: 'Ann', nested: { a: [1, null] } } }), (vars, body) => (vars.ann = body.id))
  await both('signup again while unconfirmed', post('/signup', { email, password: PASSWORD }))
  await both('sign-in before confirmation', post('/token?grant_type=password', { email, password: PASSWORD }))
  await both('sign-in with a wrong password before confirmation', post('/token?grant_type=password', { email, password: 'wrong-password' }))
  await both('confirmed by the admin', (vars, side) => ({ method: 'PUT', path: `/admin/users/${vars.ann}`, bearer: side.admin, body: { email_confirm: true } }))
  await both('signup with the address of a confirmed user', post('/signup', { email, password: PASSWORD }))
  await both('signup in capitals', post('/signup', { email: email.toUpperCase(), password: PASSWORD }))
  await both('sign-in', post('/token?grant_type=password', { email, password: PASSWORD }), keepSession('ann_session'))
  await both('sign-in in capitals', post('/token?grant_type=password', { email: email.toUpperCase(), password: PASSWORD }))
  await both('sign-in with blanks around the address', post('/token?grant_type=password', { email: ` ${email} `, password: PASSWORD }))
  await both('sign-in with a wrong password', post('/token?grant_type=password', { email, password: 'wrong-password' }))
  await both('sign-in of nobody', post('/token?grant_type=password', { email: address('nobody'), password: PASSWORD }))
  await both('sign-in with address and number', post('/token?grant_type=password', { email, phone: '15555550100', password: PASSWORD }))
  await both('sign-in without password', post('/token?grant_type=password', { email }))
  await both('an unknown grant', post('/token?grant_type=magic', { email }))
  await both('no grant', post('/token', { email }))
  for (const [name, body] of Object.entries({
    'no password': { email: address('b') },
    'an empty password': { email: address('b'), password: '' },
    'a short password': { email: address('b'), password: '12345' },
    'a long password': { email: address('b'), password: 'x'.repeat(73) },
    'an address without at': { email: 'nonsense', password: PASSWORD },
    'an address with a blank': { email: 'a b@example.com', password: PASSWORD },
    'an address with two ats': { email: 'a@b@example.com', password: PASSWORD },
    'an address over 255 characters': { email: `${'x'.repeat(250)}@example.com`, password: PASSWORD },
    'address and number': { email: address('b'), phone: '15555550100', password: PASSWORD },
    'a number with letters': { phone: '1555abc', password: PASSWORD },
    'a short number': { phone: '1', password: PASSWORD },
    'a number with a leading zero': { phone: '0155555', password: PASSWORD },
    'an unknown channel': { phone: '15555550199', password: PASSWORD, channel: 'pigeon' },
    'data that is no object': { email: address('b'), password: PASSWORD, data: 'x' },
    'a challenge without method': { email: address('b2'), password: PASSWORD, code_challenge: 'x'.repeat(43) },
    'a short challenge': { email: address('b3'), password: PASSWORD, code_challenge: 'x', code_challenge_method: 's256' },
    'a challenge with odd characters': { email: address('b4'), password: PASSWORD, code_challenge: '!'.repeat(43), code_challenge_method: 's256' },
    'an unknown challenge method': { email: address('b5'), password: PASSWORD, code_challenge: 'x'.repeat(43), code_challenge_method: 'md5' },
    'a good challenge': { email: address('b6'), password: PASSWORD, code_challenge: 'x'.repeat(43), code_challenge_method: 's256' },
  })) {
    await both(`signup with ${name}`, post('/signup', body))
  }
  await both('signup with a redirect that is allowed', post('/signup?redirect_to=https%3A%2F%2Fapp.example.com%2Fhi', { email: address('c'), password: PASSWORD }))
  await both('anonymous sign-up', post('/signup', { data: { colour: 'red' } }), keepSession('anonymous'))
  await both('anonymous user', (vars) => ({ path: '/user', bearer: vars.anonymous.access }))
  await both('anonymous user sets a password', (vars) => ({ method: 'PUT', path: '/user', bearer: vars.anonymous.access, body: { password: PASSWORD } }))
  await both('anonymous user sets an address', (vars) => ({ method: 'PUT', path: '/user', bearer: vars.anonymous.access, body: { email: address('anonymous') } }))
  await both('anonymous user enrols a factor', (vars) => ({ method: 'POST', path: '/factors', bearer: vars.anonymous.access, body: { factor_type: 'totp' } }))

  const phone = '15555550100'
  await both('phone sign-up', post('/signup', { phone: `+${phone}`, password: PASSWORD }))
  await both('phone sign-in before confirmation', post('/token?grant_type=password', { phone, password: PASSWORD }))
  await both('phone verification with a wrong code', post('/verify', { phone, type: 'sms', token: '000000' }))
  await both('phone verification', post('/verify', { phone, type: 'sms', token: '123456' }), keepSession('phone'))
  await both('phone verification again', post('/verify', { phone, type: 'sms', token: '123456' }))
  await both('phone sign-in', post('/token?grant_type=password', { phone, password: PASSWORD }))
  await both('phone sign-up again', post('/signup', { phone, password: PASSWORD }))
}
