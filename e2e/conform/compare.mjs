// Sends the cases of a folder to two servers, request by request, and tells where the answers differ.
//
// The folder has `cases/*.mjs` (each exports a function that asks `both`), and its own idea of what of an answer has to be
// equal and which differences are wanted.

import fs from 'node:fs'
import path from 'node:path'

/**
 * @param folder   where `cases` lies
 * @param sides    [ours, reference]: `ask(request)` answers, `vars` remembers
 * @param essence  (answer, side) => what has to be equal
 * @param known    (name, difference) => the reason of a wanted difference
 * @param options  only, verbose, report
 * @returns how many requests differ without a reason
 */
export async function compare({ folder, sides, essence, known, options }) {
  const results = []

  async function ask(request, keep, side) {
    try {
      const answer = await side.ask(typeof request === 'function' ? await request(side.vars, side) : request)
      if (keep) await keep(side.vars, answer.body, answer)
      return answer
    } catch (error) {
      // The request was to be made of an answer that was not as it should be.
      return { status: `cannot ask: ${error.message}`, headers: {}, body: '' }
    }
  }

  /** One request to both. `request` makes it from what the side remembers; `keep` remembers from the answer. */
  async function both(name, request, keep) {
    const found = []
    for (const side of sides) {
      const answer = await ask(request, keep, side)
      found.push({ answer, essence: essence(answer, side) })
    }
    const all = differences(found[0].essence, found[1].essence)
    const reasons = all.map((difference) => known(name, difference))
    const unknown = all.filter((_, at) => !reasons[at])
    results.push({ name, differences: all.map((difference, at) => ({ ...difference, reason: reasons[at] })) })
    if (unknown.length > 0 || options.verbose) {
      console.log(`${unknown.length > 0 ? 'DIFFERS' : 'same   '} ${name}`)
      for (const { path, ours, reference } of unknown) {
        console.log(`    ${path}\n        ours      ${JSON.stringify(ours)}\n        reference ${JSON.stringify(reference)}`)
      }
    }
  }

  const files = fs.readdirSync(path.join(folder, 'cases')).filter((name) => name.endsWith('.mjs')).sort()
  for (const file of files) {
    if (options.only && !file.includes(options.only)) continue
    const { default: run } = await import(path.join(folder, 'cases', file))
    await run(both, sides)
  }

  const count = (test) => results.filter(test).length
  const isUnknown = (result) => result.differences.some(({ reason }) => !reason)
  const summary = {
    requests: results.length,
    same: count(({ differences }) => differences.length === 0),
    known: count((result) => result.differences.length > 0 && !isUnknown(result)),
    different: count(isUnknown),
  }
  console.log(JSON.stringify(summary))
  const differing = results.filter(({ differences }) => differences.length > 0)
  if (options.report) fs.writeFileSync(options.report, JSON.stringify(differing, null, 2))
  return summary.different
}

/** The paths at which two essences differ, with both values. */
export function differences(a, b, path = '') {
  if (a && b && typeof a === 'object' && typeof b === 'object' && Array.isArray(a) === Array.isArray(b)) {
    const names = [...new Set([...Object.keys(a), ...Object.keys(b)])]
    return names.flatMap((name) => differences(a[name], b[name], path ? `${path}.${name}` : name))
  }
  return Object.is(a, b) ? [] : [{ path, ours: a, reference: b }]
}
