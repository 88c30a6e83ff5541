// An app's site: one page with the published client from node_modules, as a bundler would put it there.

import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'

const library = path.join(path.dirname(createRequire(import.meta.url).resolve('@supabase/supabase-js')), 'umd/supabase.js')

const PAGE = `<!doctype html>
<meta charset="utf-8"><title>An app</title><link rel="icon" href="data:,">
<script src="/supabase.js"></script>
<script>
  // The client as an app makes it; the test says where the project is.
  window.connect = (url, key, options = {}) => {
    const auth = { experimental: { passkey: true }, autoRefreshToken: false, ...options }
    window.client = supabase.createClient(url, key, { auth })
    return true
  }
</script>
<h1>An app</h1>`

export class Site {
  static async listen() {
    const site = new Site()
    site.server = http.createServer((request, response) => {
      const isLibrary = request.url === '/supabase.js'
      response.writeHead(200, { 'content-type': isLibrary ? 'text/javascript' : 'text/html' })
      response.end(isLibrary ? fs.readFileSync(library) : PAGE)
    })
    site.server.listen(0, '127.0.0.1')
    await once(site.server, 'listening')
    site.url = `http://localhost:${site.server.address().port}`
    return site
  }

  async close() {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}
