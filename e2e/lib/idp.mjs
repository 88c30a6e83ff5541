// A company's SAML identity provider on this machine: it checks who asks, and signs what it says with xml-crypto, which
// shares nothing with the code under test.

import { createVerify, generateKeyPairSync, randomUUID, sign, X509Certificate } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import { SignedXml } from 'xml-crypto'

const ASSERTION = 'urn:oasis:names:tc:SAML:2.0:assertion'
const PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol'
const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#'

export class IdentityProvider {
  constructor(entityId) {
    this.entityId = entityId
    this.keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.certificate = selfSigned(this.keys)
  }

  metadata() {
    return `<?xml version="1.0"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${this.entityId}">
  <IDPSSODescriptor protocolSupportEnumeration="${PROTOCOL}">
    <KeyDescriptor use="signing">
      <KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>
${this.certificate.toString('base64').match(/.{1,64}/g).join('\n')}
      </X509Certificate></X509Data></KeyInfo>
    </KeyDescriptor>
    <SingleSignOnService Binding="${REDIRECT}" Location="${this.entityId}/sso?tenant=7"/>
  </IDPSSODescriptor>
</EntityDescriptor>`
  }

  /** Reads a request as it arrives in the address bar, and checks it against the asking side's own metadata. */
  receive(address, theirMetadata) {
    const url = new URL(address)
    if (!address.startsWith(`${this.entityId}/sso?tenant=7&`)) throw new Error(`not our address: ${address}`)
    const query = Object.fromEntries(url.searchParams)
    const signed = url.search.slice(1).split('&').filter((pair) => /^(SAMLRequest|RelayState|SigAlg)=/.test(pair))
    const certificate = theirMetadata.match(/<(?:\w+:)?X509Certificate>([^<]+)</)[1]
    const { publicKey } = new X509Certificate(Buffer.from(certificate, 'base64'))
    if (query.SigAlg !== 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256') throw new Error(query.SigAlg)
    const verifier = createVerify('RSA-SHA256').update(signed.join('&'))
    if (!verifier.verify(publicKey, query.Signature, 'base64')) throw new Error('the request is not signed by who asks')
    const xml = inflateRawSync(Buffer.from(query.SAMLRequest, 'base64')).toString()
    const attribute = (name) => xml.match(new RegExp(`\\s${name}="([^"]*)"`))?.[1]
    return {
      relayState: query.RelayState,
      id: attribute('ID'),
      acs: attribute('AssertionConsumerServiceURL'),
      destination: attribute('Destination'),
      issuer: xml.match(/<(?:\w+:)?Issuer[^>]*>([^<]*)</)[1],
    }
  }

  /** A signed response. `request` is what was received; without one the sign-in began here. */
  respond({ acs, issuer, request, nameId, attributes = {}, change = (assertion) => assertion }) {
    const at = (seconds) => new Date(Date.now() + seconds * 1000).toISOString()
    const answers = request ? ` InResponseTo="${request.id}"` : ''
    const statements = Object.entries(attributes).map(([name, values]) => {
      const list = [values].flat().map((value) => `<saml:AttributeValue>${value}</saml:AttributeValue>`)
      return `<saml:Attribute Name="${name}">${list.join('')}</saml:Attribute>`
    })
    const assertion = change(`<saml:Assertion ID="_${randomUUID()}" Version="2.0" IssueInstant="${at(0)}">
      <saml:Issuer>${this.entityId}</saml:Issuer>
      <saml:Subject>
        <saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">${nameId}</saml:NameID>
        <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
          <saml:SubjectConfirmationData${answers} NotOnOrAfter="${at(300)}" Recipient="${acs}"/>
        </saml:SubjectConfirmation>
      </saml:Subject>
      <saml:Conditions NotBefore="${at(-5)}" NotOnOrAfter="${at(300)}">
        <saml:AudienceRestriction><saml:Audience>${issuer}</saml:Audience></saml:AudienceRestriction>
      </saml:Conditions>
      <saml:AuthnStatement AuthnInstant="${at(0)}" SessionIndex="1"/>
      ${statements.length ? `<saml:AttributeStatement>${statements.join('')}</saml:AttributeStatement>` : ''}
    </saml:Assertion>`)
    const response = `<samlp:Response xmlns:samlp="${PROTOCOL}" xmlns:saml="${ASSERTION}" ID="_${randomUUID()}"
    Version="2.0" IssueInstant="${at(0)}" Destination="${acs}"${answers}>
    <saml:Issuer>${this.entityId}</saml:Issuer>
    <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
    ${assertion}
  </samlp:Response>`
    return this.sign(response)
  }

  sign(xml) {
    const privateKey = this.keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
    const signer = new SignedXml({
      privateKey,
      signatureAlgorithm: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
      canonicalizationAlgorithm: EXCLUSIVE,
      getKeyInfoContent: () => `<X509Data><X509Certificate>${this.certificate.toString('base64')}</X509Certificate></X509Data>`,
    })
    const xpath = "//*[local-name(.)='Assertion']"
    signer.addReference({
      xpath,
      digestAlgorithm: 'http://www.w3.org/2001/04/xmlenc#sha256',
      transforms: ['http://www.w3.org/2000/09/xmldsig#enveloped-signature', EXCLUSIVE],
    })
    signer.computeSignature(xml, {
      prefix: 'ds',
      location: { reference: `${xpath}/*[local-name(.)='Issuer']`, action: 'after' },
    })
    return signer.getSignedXml()
  }
}

/** A certificate as metadata carries it: nobody looks at more than its key. */
function selfSigned({ publicKey, privateKey }) {
  const der = (tag, ...parts) => {
    const content = Buffer.concat(parts)
    const size = content.length
    const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
    return Buffer.concat([Buffer.from([tag, ...length]), content])
  }
  const sequence = (...parts) => der(0x30, ...parts)
  const oid = (hex) => der(6, Buffer.from(hex, 'hex'))
  const time = (text) => der(0x17, Buffer.from(text))
  const algorithm = sequence(oid('2a864886f70d01010b'), der(5))
  const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from('idp')))))
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const validity = sequence(time('200101000000Z'), time('491231235959Z'))
  const body = sequence(der(2, Buffer.from([1])), algorithm, name, validity, name, spki)
  const signature = sign('RSA-SHA256', body, privateKey)
  return sequence(body, algorithm, der(3, Buffer.from([0]), signature))
}
