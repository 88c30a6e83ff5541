// The todo app of seeds O15–O17, told with the published client: what any app must be able to do, in either
// tenancy. `app()` gives { url, anonKey, serviceKey, jwtSecret } of a fresh project with a `todos` table.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { client, claims, email, member, PASSWORD, rest } from '../lib/client.mjs'

export function todoStory(name, app) {
  describe(`todo story, ${name}`, () => {
    let ada, bob

    before(async () => {
      ada = await member(app(), 'ada')
      bob = await member(app(), 'bob')
    })

    it('signs up, signs in and knows the user', async () => {
      const supabase = client(app())
      const address = email('New.User')
      const signedUp = await supabase.auth.signUp({
        email: address,
        password: PASSWORD,
        options: { emailRedirectTo: 'http://localhost:3000', data: { name: 'New' } },
      })
      assert.equal(signedUp.error, null)
      assert.equal(signedUp.data.user.email, address.toLowerCase())
      assert.equal(signedUp.data.user.user_metadata.name, 'New')
      await supabase.auth.signOut()

      const signedIn = await supabase.auth.signInWithPassword({ email: address, password: PASSWORD })
      assert.equal(signedIn.error, null)
      assert.equal(signedIn.data.user.id, signedUp.data.user.id)
      const { data, error } = await supabase.auth.getUser()
      assert.equal(error, null)
      assert.equal(data.user.role, 'authenticated')
      assert.equal(claims(signedIn.data.session.access_token).aud, 'authenticated')
    })

    it('tells the app about its session', async () => {
      const supabase = client(app())
      const events = []
      const { data } = supabase.auth.onAuthStateChange((event) => events.push(event))
      assert.equal((await supabase.auth.getSession()).data.session, null)
      await supabase.auth.signInWithPassword({ email: ada.email, password: PASSWORD })
      assert.equal((await supabase.auth.getSession()).data.session.user.id, ada.user.id)
      const signedOut = await supabase.auth.signOut({ scope: 'local' })
      assert.equal(signedOut.error, null)
      assert.equal((await supabase.auth.getSession()).data.session, null)
      data.subscription.unsubscribe()
      assert.ok(events.includes('SIGNED_IN') && events.includes('SIGNED_OUT'), `events: ${events}`)
    })

    it('inserts, lists, updates and deletes own rows', async () => {
      const { supabase, user } = ada
      const rows = ['milk', 'bread'].map((text) => ({ user_id: user.id, text, completed: false }))
      const inserted = await supabase.from('todos').insert(rows).select()
      assert.equal(inserted.error, null)
      assert.equal(inserted.status, 201)
      assert.deepEqual(inserted.data.map((row) => row.text).sort(), ['bread', 'milk'])
      assert.ok(inserted.data.every((row) => row.id && row.created_at && row.updated_at))

      const silent = await supabase.from('todos').insert([{ user_id: user.id, text: 'eggs', completed: false }])
      assert.equal(silent.error, null)
      assert.equal(silent.data, null)

      const listed = await supabase
        .from('todos')
        .select('*')
        .eq('user_id', user.id)
        .order('created_at', { ascending: false })
      assert.equal(listed.error, null)
      assert.equal(listed.data.length, 3)
      assert.equal(listed.data[0].text, 'eggs')

      const milk = listed.data.find((row) => row.text === 'milk')
      const updated = await supabase.from('todos').update({ completed: true }).eq('id', milk.id).select().single()
      assert.equal(updated.error, null)
      assert.equal(updated.data.completed, true)

      const counted = await supabase
        .from('todos')
        .select('*', { count: 'exact', head: true })
        .eq('completed', true)
      assert.equal(counted.count, 1)

      const deleted = await supabase.from('todos').delete().eq('id', milk.id)
      assert.equal(deleted.error, null)
      assert.equal(deleted.status, 204)
      const left = await supabase.from('todos').select('text').order('text')
      assert.deepEqual(left.data, [{ text: 'bread' }, { text: 'eggs' }])
    })

    it('hides rows from another user', async () => {
      const { data, error } = await bob.supabase.from('todos').select('*')
      assert.equal(error, null)
      assert.deepEqual(data, [])
      const updated = await bob.supabase.from('todos').update({ text: 'stolen' }).eq('user_id', ada.user.id).select()
      assert.deepEqual(updated.data, [])
      await bob.supabase.from('todos').delete().eq('user_id', ada.user.id)
      const kept = await ada.supabase.from('todos').select('text').order('text')
      assert.deepEqual(kept.data, [{ text: 'bread' }, { text: 'eggs' }])
    })

    it('refuses a row in another name', async () => {
      const { error, status } = await bob.supabase
        .from('todos')
        .insert([{ user_id: ada.user.id, text: 'forged', completed: false }])
      assert.equal(error.code, '42501')
      assert.equal(status, 403)
    })

    it('hides rows from an anonymous client', async () => {
      const anonymous = client(app())
      const { data, error } = await anonymous.from('todos').select('*')
      assert.equal(error, null)
      assert.deepEqual(data, [])
      const insert = await anonymous
        .from('todos')
        .insert([{ user_id: ada.user.id, text: 'forged', completed: false }])
      assert.equal(insert.error.code, '42501')
      assert.equal(insert.status, 401)
    })

    it('shows public rows to everyone, and a stranger writes none', async () => {
      const service = client(app(), app().serviceKey)
      const row = { body: 'hello', ...(app().appId && { user_id: ada.user.id }) }
      assert.equal((await service.from('notices').insert([row])).error, null)
      const { data } = await client(app()).from('notices').select('body').eq('body', 'hello')
      assert.deepEqual(data, [{ body: 'hello' }])
      for (const stranger of [client(app()), bob.supabase]) {
        const refused = await stranger.from('notices').insert([row])
        assert.equal(refused.error.code, '42501')
      }
    })

    it('lets the service key see every row', async () => {
      const service = client(app(), app().serviceKey)
      const { data, error } = await service.from('todos').select('text').eq('user_id', ada.user.id).order('text')
      assert.equal(error, null)
      assert.deepEqual(data, [{ text: 'bread' }, { text: 'eggs' }])
    })

    it('refreshes a session and detects a replayed refresh token', async () => {
      const { supabase, session } = await member(app(), 'fresh')
      const refreshed = await supabase.auth.refreshSession()
      assert.equal(refreshed.error, null)
      assert.notEqual(refreshed.data.session.refresh_token, session.refresh_token)
      const again = await supabase.auth.refreshSession()
      assert.equal(again.error, null)
      const made = await client(app()).auth.refreshSession({ refresh_token: 'abcdefghijkl' })
      assert.equal(made.error.code, 'refresh_token_not_found')
      assert.equal(made.error.status, 400)
    })

    it('updates the user', async () => {
      const { supabase } = await member(app(), 'changing')
      const { data, error } = await supabase.auth.updateUser({ data: { theme: 'dark' } })
      assert.equal(error, null)
      assert.equal(data.user.user_metadata.theme, 'dark')
      const same = await supabase.auth.updateUser({ password: PASSWORD })
      assert.equal(same.error.code, 'same_password')
      assert.equal(same.error.status, 422)
    })

    it('ends the session at sign-out', async () => {
      const { supabase, session } = await member(app(), 'leaving')
      assert.equal((await supabase.auth.signOut()).error, null)
      const { error } = await client(app()).auth.getUser(session.access_token)
      assert.equal(error.name, 'AuthSessionMissingError')
      const bare = await fetch(`${app().url}/auth/v1/user`, {
        headers: { apikey: app().anonKey, authorization: `Bearer ${session.access_token}` },
      })
      assert.equal(bare.status, 403)
      assert.equal((await bare.json()).error_code, 'session_not_found')
    })

    it('answers wrong sign-in input with the documented errors', async () => {
      const supabase = client(app())
      const cases = [
        [() => supabase.auth.signInWithPassword({ email: ada.email, password: 'wrong' }), 'invalid_credentials', 400],
        [() => supabase.auth.signInWithPassword({ email: email(), password: 'wrong' }), 'invalid_credentials', 400],
        [() => supabase.auth.signUp({ email: ada.email, password: PASSWORD }), 'user_already_exists', 422],
        [() => supabase.auth.signUp({ email: email(), password: 'short' }), 'weak_password', 422],
        [() => supabase.auth.signUp({ email: 'not an address', password: PASSWORD }), 'validation_failed', 400],
      ]
      for (const [act, code, status] of cases) {
        const { error } = await act()
        assert.ok(error, code)
        assert.equal(error.code, code)
        assert.equal(error.status, status)
        assert.ok(error.message.length > 0)
      }
    })

    it('answers wrong queries with the documented errors', async () => {
      const { supabase, user, session } = ada
      const cases = [
        [supabase.from('nothing').select('*'), 'PGRST205', 404],
        [supabase.from('todos').select('nothing'), '42703', 400],
        [supabase.from('todos').select('*').eq('id', 'not-a-uuid'), '22P02', 400],
        [supabase.from('todos').insert([{ user_id: user.id, completed: false }]), '23502', 400],
        [supabase.from('todos').insert([{ user_id: user.id, text: 'x', nothing: 1 }]), 'PGRST204', 400],
        [supabase.from('todos').select('*').eq('text', 'no such row').single(), 'PGRST116', 406],
        [supabase.rpc('no_such_function'), 'PGRST202', 404],
      ]
      for (const [act, code, status] of cases) {
        const { error, status: got } = await act
        assert.ok(error, code)
        assert.equal(error.code, code)
        assert.equal(got, status, `${code}: ${JSON.stringify(error)}`)
      }
      const badJson = await rest(app(), 'todos', { method: 'POST', body: '{"text":', bearer: session.access_token })
      assert.equal(badJson.status, 400)
      assert.equal(badJson.body.code, 'PGRST102')
    })

    it('refuses a wrong API key', async () => {
      const { status, body } = await rest(app(), 'todos', { key: 'nonsense' })
      assert.equal(status, 401)
      assert.ok(body.message)
      const bare = await fetch(`${app().url}/rest/v1/todos`)
      assert.equal(bare.status, 401)
    })
  })
}
