// Starts the built program on free ports in a folder of its own, waits on facts with deadlines, ends only
// what it started, and shows the logs when a test failed.

import { spawn, execFile } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.resolve(here, '../..')
export const fixtures = path.join(root, 'e2e/fixtures')

export const binary =
  process.env.ROWHOUSE_BIN ??
  path.join(path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target'), 'debug/rowhouse')

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Asks `fact` until it answers something truthy; what it throws counts as "not yet". */
export async function until(what, fact, seconds = 30) {
  const deadline = Date.now() + seconds * 1000
  let last
  while (Date.now() < deadline) {
    try {
      const answer = await fact()
      if (answer) return answer
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`not within ${seconds} s: ${what}${last ? ` (last: ${last.message})` : ''}`)
}

/** A folder that a test may fill, short enough for Unix sockets in it. */
export function scratch() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'rh-'))
  fs.chmodSync(dir, 0o755) // PostgreSQL runs as another user when we are root
  return dir
}

/** Runs a command of the program to its end. */
export function command(args, { allowFailure = false, seconds = 60 } = {}) {
  return new Promise((resolve, reject) => {
    execFile(binary, args, { timeout: seconds * 1000, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (error && !allowFailure) {
        reject(new Error(`rowhouse ${args.join(' ')}: ${error.message}\n${stdout}\n${stderr}`))
      } else {
        resolve({ code: error ? (error.code ?? -1) : 0, stdout, stderr })
      }
    })
  })
}

/** A running `rowhouse start` or `rowhouse serve`. */
export class Program {
  constructor(args, dir) {
    this.args = args
    this.dir = dir
    this.stdout = ''
    this.log = ''
  }

  launch() {
    this.exited = false
    this.stdout = ''
    this.child = spawn(binary, this.args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout.on('data', (data) => (this.stdout += data))
    this.child.stderr.on('data', (data) => (this.log += data))
    this.ended = once(this.child, 'exit').then(([code, signal]) => {
      this.exited = true
      return { code, signal }
    })
    return this
  }

  get pid() {
    return this.child.pid
  }

  /** Waits for a fact of this process; fails at once when the process ends first. */
  async ready(what, fact, seconds = 60) {
    return until(
      what,
      async () => {
        if (this.exited) throw new Ended(`the program ended: ${this.stdout}\n${this.log}`)
        return fact()
      },
      seconds,
    ).catch((error) => {
      throw new Error(`${error.message}\n--- output\n${this.stdout}\n--- log\n${this.tail()}`)
    })
  }

  async stop(signal = 'SIGTERM', seconds = 30) {
    if (this.exited) return this.ended
    this.child.kill(signal)
    const timer = setTimeout(() => this.child.kill('SIGKILL'), seconds * 1000)
    const end = await this.ended
    clearTimeout(timer)
    return end
  }

  tail(lines = 60) {
    return this.log.split('\n').slice(-lines).join('\n')
  }
}

class Ended extends Error {}

/** `rowhouse start` in `dir` (a fixture copied there first), with its addresses and keys. */
export async function start({ fixture, dir = scratch(), extra = [] } = {}) {
  if (fixture) fs.cpSync(path.join(fixtures, fixture), dir, { recursive: true })
  const [api, db, mail] = [await freePort(), await freePort(), await freePort()]
  const ports = ['--api-port', `${api}`, '--db-port', `${db}`, '--mail-port', `${mail}`]
  const args = ['start', '--workdir', dir, ...ports, '-o', 'json', ...extra]
  const program = new Program(args, dir)
  await relaunch(program)
  return program
}

/** Launches a `start` (again) and waits until it says what it offers. */
export async function relaunch(program) {
  program.launch()
  program.env = await program.ready('rowhouse start prints its addresses', () => JSON.parse(program.stdout))
  return program
}

/** Shows the log when the test or suite has failed; to be called in `after`. */
export function explain(program, failed) {
  if (failed && program) console.error(`--- log of ${program.args.join(' ')}\n${program.tail(200)}`)
}

export async function cleanUp(...programs) {
  for (const program of programs.filter(Boolean)) {
    await program.stop()
    // Removing thousands of files takes seconds on some disks: nobody waits for it.
    if (!process.env.KEEP) spawn('rm', ['-rf', program.dir], { detached: true, stdio: 'ignore' }).unref()
  }
}

/** The pids of the postmasters whose data directories lie under a folder (templates have none running). */
export function postmasters(dir) {
  const found = []
  const walk = (folder, depth) => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const name = path.join(folder, entry.name)
      if (entry.isFile() && entry.name === 'postmaster.pid') {
        const pid = Number(fs.readFileSync(name, 'utf8').split('\n')[0])
        if (alive(pid)) found.push({ pid, dir: folder })
      } else if (entry.isDirectory() && depth < 5) {
        walk(name, depth + 1)
      }
    }
  }
  walk(dir, 0)
  return found
}

export function alive(pid) {
  try {
    process.kill(pid, 0)
    // A process that has ended stays in the table until somebody asks how.
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch (error) {
    return error.code === 'EPERM' || (error.code === 'ENOENT' && process.platform !== 'linux')
  }
}

/** One statement on the private socket of a server of ours, as its superuser: to look behind the curtain. */
export function privately(program, server, database, sql) {
  const found = postmasters(program.dir).find(({ dir }) => dir.includes(`/${server}/`))
  const lines = fs.readFileSync(path.join(found.dir, 'postmaster.pid'), 'utf8').split('\n')
  return psql(`host=${lines[4]} port=${lines[3]} user=supabase_admin dbname=${database}`, sql)
}

/** One statement through the program's PostgreSQL port, with the psql that PostgreSQL brings. */
export function psql(url, sql) {
  const places = [18, 17, 16, 15].map((version) => `/usr/lib/postgresql/${version}/bin/psql`)
  const program = places.find((place) => fs.existsSync(place)) ?? 'psql'
  return new Promise((resolve, reject) => {
    const args = ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', sql]
    execFile(program, args, { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error) reject(Object.assign(new Error(stderr || error.message), { code: error.code }))
      else resolve(stdout.trim())
    })
  })
}
