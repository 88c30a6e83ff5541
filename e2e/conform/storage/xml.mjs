// XML as the S3 protocol uses it: elements, text, no mixed content.

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const unescape = (text) =>
  text.replace(/&(#x?[0-9a-f]+|\w+);/gi, (whole, name) => {
    if (name[0] === '#') return String.fromCodePoint(name[1] === 'x' ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10))
    return ENTITIES[name] ?? whole
  })

/** An element becomes its text, or an object of its children; children of one name become a list. */
export function parseXml(text) {
  const root = { children: {} }
  const open = [root]
  const pieces = text.replace(/<\?.*?\?>/gs, '').match(/<[^>]+>|[^<]+/g) ?? []
  for (const piece of pieces) {
    const top = open.at(-1)
    if (!piece.startsWith('<')) top.text = (top.text ?? '') + unescape(piece)
    else if (piece.startsWith('</')) open.pop()
    else {
      const [, name, attributes, closed] = piece.match(/^<([\w:.-]+)([^>]*?)(\/?)>$/s) ?? []
      if (!name) return text
      const element = { children: {}, attributes: attributes.trim() }
      ;(top.children[name] ??= []).push(element)
      if (!closed) open.push(element)
    }
  }
  return simple(root)
}

function simple({ children, text, attributes }) {
  const names = Object.keys(children)
  if (names.length === 0 && !attributes) return text ?? ''
  const content = Object.fromEntries(names.map((name) => [name, children[name].length > 1 ? children[name].map(simple) : simple(children[name][0])]))
  if (attributes) content['@'] = attributes
  if (names.length === 0 && text) content['#'] = text
  return content
}
