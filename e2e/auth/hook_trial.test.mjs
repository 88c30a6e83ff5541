// `rowhouse projects hook test`: an owner finds out what is wrong with a hook before a user does.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { PASSWORD, client, email } from '../lib/client.mjs'
import { command, psql, cleanUp } from '../lib/program.mjs'
import { Listener, local, ok, poolWith, startWith } from '../lib/tenancies.mjs'

const secret = `v1,whsec_${randomBytes(32).toString('base64')}`

/** Runs the command; what it says, and whether it is content. */
async function tried(program, project, hook, ...more) {
  const data = program.data ?? `${program.dir}/.rowhouse`
  const args = ['projects', 'hook', 'test', project, hook, '--data', data, '-o', 'json', ...more]
  const { code, stdout, stderr } = await command(args, { allowFailure: true })
  return { code, stderr, ...(stdout.trim() ? JSON.parse(stdout) : {}) }
}

describe('hooks that are functions', () => {
  let program, app, project
  const fill = (name, body, grants = true) => psql(app.db, `
    create or replace function public.${name}(event jsonb) returns jsonb language plpgsql as $$ begin ${body} end $$;
    revoke execute on function public.${name} from public;
    ${grants ? `grant execute on function public.${name} to supabase_auth_admin; grant usage on schema public to supabase_auth_admin;` : ''}`)

  before(async () => {
    const hooks = ['custom_access_token', 'before_user_created', 'mfa_verification_attempt', 'password_verification_attempt']
    const sections = hooks.map((name) => `[auth.hook.${name}]\nenabled = true\nuri = "pg-functions://postgres/public/${name}"\n`)
    program = await startWith(`[auth]\nsite_url = "http://localhost:3000"\n${sections.join('')}`)
    app = local(program)
    const { stdout } = await command(['projects', 'list', '--data', `${program.dir}/.rowhouse`, '-o', 'json'])
    project = JSON.parse(stdout)[0].ref
  })
  after(() => cleanUp(program))

  it('are called as they are in earnest, and nothing that they do remains', async () => {
    await psql(app.db, `create table public.heard (event jsonb); grant insert on public.heard to supabase_auth_admin`)
    await fill('before_user_created', `insert into public.heard values (event);
      if event->'user'->>'email' like '%@example.com' then
        return '{"error": {"http_code": 403, "message": "Staff only"}}'; end if; return '{}';`)
    const trial = await tried(program, project, 'before-user-created')
    assert.deepEqual([trial.code, trial.acceptable, trial.verdict], [0, true, 'requests are refused: 403 Staff only'])
    assert.equal(trial.address, 'pg-functions://postgres/public/before_user_created')
    assert.deepEqual([trial.payload.metadata.name, trial.payload.user.email], ['before-user-created', 'ann@example.com'])
    assert.equal(await psql(app.db, 'select count(*) from public.heard'), '0')
    // What was sent is what is sent.
    const { error } = await client(app).auth.signUp({ email: email('real'), password: PASSWORD })
    assert.equal(error.message, 'Staff only')
    await fill('before_user_created', `insert into public.heard values (event); return '{}';`)
    await fill('custom_access_token', "return jsonb_build_object('claims', event->'claims');")
    await psql(app.db, 'truncate public.heard')
    ok(await client(app).auth.signUp({ email: email('real'), password: PASSWORD }))
    const real = JSON.parse(await psql(app.db, 'select event from public.heard'))
    assert.deepEqual(Object.keys(trial.payload.user).sort(), Object.keys(real.user).sort())
    assert.deepEqual(Object.keys(trial.payload.metadata).sort(), Object.keys(real.metadata).sort())
  })

  it('are told to be missing, not granted, failing or slow, with the remedy', async () => {
    const hook = 'mfa_verification_attempt'
    const missing = await tried(program, project, hook)
    assert.deepEqual([missing.code, missing.acceptable], [1, false])
    assert.match(missing.verdict, /does not exist \(42883\)/)
    assert.match(missing.hint, /create function "public"\."mfa_verification_attempt"\(event jsonb\) returns jsonb/)
    await fill(hook, "return '{}';", false)
    const denied = await tried(program, project, hook)
    assert.match(denied.verdict, /permission denied.*\(42501\)/)
    assert.match(denied.hint, /grant execute on function "public"\."mfa_verification_attempt" to supabase_auth_admin/)
    await fill(hook, "raise exception 'out of order';")
    assert.match((await tried(program, project, hook)).verdict, /out of order \(P0001\)/)
    await fill(hook, "perform pg_sleep(10); return '{}';")
    const slow = await tried(program, project, hook)
    assert.match(slow.hint, /two seconds/)
    assert.ok(slow.milliseconds >= 1900 && slow.milliseconds < 9000, `${slow.milliseconds}`)
    await fill(hook, `return '{"decision": "reject", "message": "no more"}';`)
    assert.equal((await tried(program, project, hook)).verdict, 'attempts are rejected: no more')
    await fill(hook, `return '{"decision": "yes"}';`)
    const odd = await tried(program, project, hook)
    assert.deepEqual([odd.acceptable, odd.verdict], [true, 'attempts go on'])
    assert.match(odd.hint, /neither "continue" nor "reject"/)
  })

  it('are told of a user who is there', async () => {
    await psql(app.db, 'create table public.roles (id uuid, role text); grant select on public.roles to supabase_auth_admin')
    await fill('custom_access_token', `return jsonb_build_object('claims', event->'claims' || jsonb_build_object('tenant',
      (select role from public.roles where id = (event->>'user_id')::uuid)));`)
    const address = email('known')
    const admin = client(app, app.serviceKey).auth.admin
    await fill('before_user_created', "return '{}';")
    const { user } = ok(await admin.createUser({ email: address, password: PASSWORD, email_confirm: true }))
    await psql(app.db, `insert into public.roles values ('${user.id}', 'cook')`)
    const trial = await tried(program, project, 'custom_access_token', '--user', address.toUpperCase())
    assert.deepEqual([trial.code, trial.verdict], [0, 'tokens get these claims; added: tenant'])
    assert.deepEqual([trial.payload.user_id, JSON.parse(trial.answer).claims.tenant], [user.id, 'cook'])
    assert.equal((await tried(program, project, 'custom_access_token', '--user', user.id)).payload.claims.email, address)
    await fill('custom_access_token', "return event->'claims';")
    const bare = await tried(program, project, 'custom_access_token')
    assert.deepEqual([bare.acceptable, bare.verdict], [false, 'requests fail: 500 output claims field is missing'])
    assert.match(bare.hint, /belong below "claims"/)
    const nobody = await tried(program, project, 'custom_access_token', '--user', 'nobody@example.com')
    assert.match(nobody.stderr, /no user nobody@example\.com/)
  })

  it('are named', async () => {
    assert.match((await tried(program, project, 'send_email')).stderr, /the project has no hook send_email/)
    assert.match((await tried(program, project, 'nonsense')).stderr, /there is no hook nonsense; there are custom_access_token,/)
  })
})

describe('hooks that are servers of a pooled project', () => {
  let program, app, owner
  before(async () => {
    owner = await Listener.listen(() => ({ json: {} }))
    ;({ program, app } = await poolWith(`
[auth]
site_url = "http://localhost:3000"
[auth.hook.send_email]
enabled = true
uri = "${owner.url}/mail?token=t0p"
secrets = "${secret}"
[auth.hook.custom_access_token]
enabled = true
uri = "http://127.0.0.1:9/nobody"
secrets = "${secret}"
`))
  })
  after(async () => {
    await cleanUp(program)
    await owner.close()
  })

  it('get one signed request, and are told that it is a trial', async () => {
    const trial = await tried(program, app.ref, 'send_email')
    assert.deepEqual([trial.code, trial.status, trial.verdict], [0, 200, 'the message counts as sent'])
    assert.equal(trial.address, `${owner.url}/mail`)
    assert.equal(owner.asked.length, 1)
    const { headers, body, path } = owner.last()
    assert.deepEqual(new Webhook(secret.slice(3)).verify(body, headers), trial.payload)
    assert.deepEqual([path, headers['x-rowhouse-trial']], ['/mail?token=t0p', 'true'])
    assert.deepEqual([trial.payload.email_data.email_action_type, trial.payload.email_data.site_url], ['signup', `${app.url}/auth/v1`])
  })

  it('are told what is wrong with their answers', async () => {
    for (const [answer, verdict, hint] of [
      [{ status: 401, json: {} }, /requests fail: 500 Hook requires authorization token/, /webhook-signature/],
      [{ text: '{}', headers: { 'content-type': 'text/plain' } }, /Received content-type: text\/plain/, /application\/json/],
      [{ text: 'sent!' }, /Error unmarshaling JSON output/, /JSON object/],
      [{ status: 302, headers: { location: '/elsewhere' }, text: '' }, /302/, /redirects are not followed/],
      [{ status: 503, headers: { 'retry-after': '1' }, text: '' }, /currently unavailable/, /three times/],
    ]) {
      owner.answer = () => answer
      const trial = await tried(program, app.ref, 'send_email')
      assert.deepEqual([trial.code, trial.acceptable], [1, false], JSON.stringify(trial))
      assert.match(trial.verdict, verdict)
      assert.match(trial.hint, hint)
      assert.match(trial.stderr, /cannot use this answer/)
    }
    owner.answer = () => ({ status: 204, headers: {}, text: '' })
    assert.equal((await tried(program, app.ref, 'send_email')).acceptable, true)
    const silent = await tried(program, app.ref, 'custom_access_token')
    assert.match(silent.verdict, /requests fail: cannot connect/)
    assert.equal(JSON.stringify(silent).includes(secret.slice(12)), false)
  })
})
