// A real browser, driven by the DevTools protocol: nothing between it and the test but a WebSocket.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import WebSocket from 'ws'
import { scratch, until } from './program.mjs'

const PLACES = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

export const chromium = PLACES.find((place) => place && fs.existsSync(place))

const FLAGS = ['--headless=new', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions', '--disable-background-networking', '--remote-debugging-port=0']

export class Browser {
  calls = new Map()
  listeners = new Set()
  number = 0

  static async launch() {
    const browser = new Browser()
    browser.dir = scratch()
    const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []
    browser.child = spawn(chromium, [...FLAGS, ...sandbox, `--user-data-dir=${browser.dir}`, 'about:blank'], { stdio: 'ignore' })
    browser.ended = once(browser.child, 'exit')
    const file = path.join(browser.dir, 'DevToolsActivePort')
    const [port, route] = await until('the browser listens', () => {
      const lines = fs.readFileSync(file, 'utf8').split('\n')
      return lines[1] && lines
    }, 60)
    browser.socket = new WebSocket(`ws://127.0.0.1:${port}${route}`, { maxPayload: 1 << 27 })
    await once(browser.socket, 'open')
    browser.socket.on('message', (data) => browser.receive(JSON.parse(data)))
    return browser
  }

  receive({ id, result, error, method, params, sessionId }) {
    if (id === undefined) {
      for (const listener of [...this.listeners]) listener({ method, params, sessionId })
      return
    }
    const { resolve, reject, name } = this.calls.get(id)
    this.calls.delete(id)
    if (error) reject(new Error(`${name}: ${error.message}`))
    else resolve(result)
  }

  send(name, params = {}, sessionId) {
    const id = (this.number += 1)
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject, name })
      this.socket.send(JSON.stringify({ id, method: name, params, sessionId }))
    })
  }

  /** A page of a person who has never been here: nothing is shared between two of them. */
  async page(url) {
    const { browserContextId } = await this.send('Target.createBrowserContext')
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId, width: 1200, height: 800 })
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true })
    const page = new Page(this, sessionId, browserContextId)
    await page.begin()
    if (url) await page.goto(url)
    return page
  }

  async close() {
    const end = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    await this.send('Browser.close').catch(() => this.child.kill('SIGKILL'))
    await this.ended
    clearTimeout(end)
    this.socket.terminate()
    fs.rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

class Page {
  /** What went wrong on the page, whoever says so. */
  complaints = []

  constructor(browser, sessionId, context) {
    Object.assign(this, { browser, sessionId, context })
    browser.listeners.add((event) => event.sessionId === sessionId && this.hear(event))
  }

  send(name, params) {
    return this.browser.send(name, params, this.sessionId)
  }

  async begin() {
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.send(`${domain}.enable`)
  }

  hear({ method, params }) {
    if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text)
    if (method === 'Log.entryAdded' && params.entry.level === 'error') this.complaints.push(`${params.entry.text} ${params.entry.url ?? ''}`)
  }

  async goto(url) {
    const { errorText } = await this.send('Page.navigate', { url })
    if (errorText) throw new Error(`${url}: ${errorText}`)
    await this.until(`${url} is there`, () => document.readyState === 'complete' && location.href !== 'about:blank')
  }

  /** Runs a function in the page, with arguments and an answer that are JSON. */
  async run(work, ...args) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression: `(${work})(...${JSON.stringify(args)})`,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }

  until(what, work, ...args) {
    return until(what, () => this.run(work, ...args))
  }

  /** Presses the first element that fits, where it is, as a hand does. */
  async click(selector) {
    const place = await this.until(`${selector} is there`, (selector) => {
      const element = document.querySelector(selector)
      const box = element?.getBoundingClientRect()
      return box?.width ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : null
    }, selector)
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.send('Input.dispatchMouseEvent', { type, ...place, button: 'left', clickCount: 1 })
    }
  }

  /** An authenticator in this page's device: a platform's own (passkeys) or a key that is plugged in. */
  async authenticator(options = {}) {
    await this.send('WebAuthn.enable', { enableUI: false })
    const { authenticatorId } = await this.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true,
        hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true, ...options,
      },
    })
    return authenticatorId
  }

  async credentials(authenticatorId) {
    return (await this.send('WebAuthn.getCredentials', { authenticatorId })).credentials
  }

  /** Kept where SHOTS says, for people to look at. */
  async shot(name) {
    if (!process.env.SHOTS) return
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' })
    fs.writeFileSync(path.join(process.env.SHOTS, `${name}.png`), Buffer.from(data, 'base64'))
  }

  close() {
    return this.browser.send('Target.disposeBrowserContext', { browserContextId: this.context })
  }
}
