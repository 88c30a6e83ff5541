// Differences from the reference that are wanted, each with its reason.

const isLink = (text) => typeof text === 'string' && text.startsWith('<a href="')

/** [pattern of the case's name, pattern of the path in the answer, reason, further condition] */
const KNOWN = [
  [/^health$/, /^body/, 'each names itself'],
  [/^settings/, /saml_private_key_next_configured/, 'the reference says true without any key'],
  [/^jwks$/, /^body.keys/, 'the local stack signs with an ES256 key, the reference here with its secret'],
  [/with a slash$/, /./, 'a trailing slash is forgiven everywhere; the reference does so on most routes'],
  [/^(a wrong method|get of a post|head of verify)$/, /content-type/, 'ours has a text for people, hence a type'],
  [/./, /^body$/, 'a redirect needs no page', ({ reference }) => isLink(reference)],
  [/./, /^headers.content-type$/, 'a redirect needs no page', ({ ours, reference }) => !ours && reference === 'text/html'],
  [/^posted callback without state$/, /^(body|headers.content-type)$/, 'a redirect needs no page'],
  [/^\/magiclink: (no body|not JSON|an array|a number)/, /^body.msg$/, 'one wording for all routes'],
  [/with (a bearer that is no token|a wrong signature|algorithm none|an unknown algorithm|an expired token)$/, /^body.msg$/, "after the fixed beginning the words are the JWT library's"],
  [/./, /confirmed_at$/, 'the reference does not read back the generated column after some updates', ({ reference }) => reference === undefined],
  [/^update of an address$/, /^body.identities/, 'the reference answers with the identity as it was before'],
  [/^signup with an unknown challenge method$/, /./, 'a mistake of the caller: 400 with its reason, not 500'],
  [/^create with a hash that is none$/, /./, 'a mistake of the caller: 400 with its reason, not 500'],
  [/^create with a hash$/, /^body.user_metadata$/, 'an empty object, as for all other users'],
  [/^list, (per_)?page x$/, /^body.msg$/, "the words of Go's number parser"],
  [/^audit$/, /^headers/, 'links of every kind that an admin makes are in the log, not only those of two'],
  [/^audit/, /ip_address$/, 'the reference writes no address without a proxy in front'],
  [/^register with /, /^body.msg$/, 'the reference repeats the status in the message', ({ ours, reference }) => reference === `400: ${ours}`],
  [/^GET .admin.* a session that is no UUID$/, /./, 'who is no admin is told so first, as for every other token'],
  [/^verify$/, /^headers.sb-auth/, 'a new session is named in the headers here too'],
  [/^verify$/, /^body.user.factors/, 'the reference still shows the factor that this request took away'],
  [/^get after soft deletion$/, /identity_data$/, 'an empty object instead of no field', ({ ours }) => JSON.stringify(ours) === '{}'],
  [/^(token|refresh by)/, /^headers.cache-control$/, 'RFC 6749 §5.1 asks for no-store', ({ ours }) => ours === 'no-store'],
]

/** The reason of a difference, if it is a wanted one. */
export function known(name, difference) {
  const fits = ([names, paths, , condition]) =>
    names.test(name) && paths.test(difference.path) && (!condition || condition(difference))
  return KNOWN.find(fits)?.[2]
}
