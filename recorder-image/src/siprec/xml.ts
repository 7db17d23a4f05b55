/**
 * XML as SRCs send it, read into plain elements, with hard limits.
 *
 * fast-xml-parser does the reading with entity processing off, so nothing can expand: only the five entities of XML
 * itself and character references are decoded, here. Names lose their prefix and become lower case (`dialects.ts`).
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { decodeXml } from './charset.ts';
import type { MetadataWarning, MetadataWarningCode } from './warnings.ts';

const MAX_BYTES = 64 * 1024;
const MAX_DEPTH = 32;
/** The largest real document has some 60; each may become a warning or a participant. */
const MAX_ELEMENTS = 1000;

export interface XmlElement {
  /** Local name, lower case. */
  name: string;
  /** By local name in lower case; namespace declarations are left out. */
  attributes: ReadonlyMap<string, string>;
  children: XmlElement[];
  /** Own text, without that of the children. */
  text: string;
}

export interface XmlDocument {
  root: XmlElement;
  /** Namespace of the root element; '' if it has none. */
  namespace: string;
}

/** What fast-xml-parser makes of an element when it keeps the order: its name is the only other key. */
type OrderedNode = { ':@'?: Record<string, string> } & Record<string, unknown>;

const TEXT = '#text';
const CDATA = '#cdata';
const ATTRIBUTES = ':@';

/**
 * Reads a document. A document that is cut, too large, too deep or not well-formed gives what can be read of it.
 * @param charset of the part's Content-Type
 * @param warnings receives the codes that begin with `metadata-`, and those of `decodeXml`
 * @returns undefined if there is no element at all, or the text cannot be read
 */
export function readXml(
  xml: Buffer,
  charset: string | undefined,
  warnings: MetadataWarning[],
): XmlDocument | undefined {
  if (xml.length > MAX_BYTES)
    warnings.push({
      code: 'metadata-too-large',
      detail: `${xml.length} bytes, only the first ${MAX_BYTES} are read`,
    });
  const text = decodeXml(xml.subarray(0, MAX_BYTES), charset, warnings).trim();
  try {
    // A document that was cut inside a tag is read up to the last whole tag.
    const nodes: OrderedNode[] = newParser().parse(text.slice(0, text.lastIndexOf('>') + 1));
    const rootNode = nodes.find((node) => isElementName(nameOf(node)));
    if (!rootNode) {
      warnings.push({ code: 'metadata-unreadable', detail: 'no XML element in it' });
      return undefined;
    }
    const rootName = nameOf(rootNode);
    const isEmpty = (rootNode[rootName] as OrderedNode[]).length === 0;
    if (!isEmpty && text.lastIndexOf('</') !== text.lastIndexOf(`</${rootName}`))
      warnings.push({ code: 'metadata-cut', detail: `no end of ${rootName.slice(0, 64)}` });
    const problem = XMLValidator.validate(text);
    if (problem !== true)
      warnings.push({
        code: 'metadata-not-well-formed',
        detail: `line ${problem.err.line}: ${problem.err.msg.slice(0, 200)}`,
      });
    return {
      root: elementOf(rootNode, 1, { left: MAX_ELEMENTS }, warnings),
      namespace: namespaceOf(rootNode),
    };
  } catch (error) {
    warnings.push({ code: 'metadata-unreadable', detail: String(error).slice(0, 200) });
    return undefined;
  }
}

const newParser = (): XMLParser =>
  new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: '',
    textNodeName: TEXT,
    cdataPropName: CDATA,
    parseTagValue: false,
    processEntities: false,
    // Far past MAX_DEPTH, which is kept below, where the rest of the document need not be lost.
    maxNestedTags: 1000,
    // Path strings would cost depth squared.
    jPath: false,
  });

function elementOf(
  node: OrderedNode,
  depth: number,
  budget: { left: number },
  warnings: MetadataWarning[],
): XmlElement {
  const key = nameOf(node);
  const element: XmlElement = {
    name: localName(key),
    attributes: attributesOf(node),
    children: [],
    text: '',
  };
  for (const child of node[key] as OrderedNode[]) {
    const childKey = nameOf(child);
    if (childKey === TEXT) element.text += decoded(String(child[TEXT]));
    else if (childKey === CDATA)
      element.text += String((child[CDATA] as OrderedNode[])[0]?.[TEXT] ?? '').trim();
    else if (!isElementName(childKey)) continue;
    else if (depth === MAX_DEPTH)
      warnOnce(warnings, 'metadata-too-deep', `elements below level ${MAX_DEPTH} are not read`);
    else if (budget.left === 0)
      warnOnce(warnings, 'metadata-too-many-elements', `only the first ${MAX_ELEMENTS} elements are read`);
    else {
      budget.left -= 1;
      element.children.push(elementOf(child, depth + 1, budget, warnings));
    }
  }
  return element;
}

const nameOf = (node: OrderedNode): string => Object.keys(node).find((key) => key !== ATTRIBUTES) ?? '';

const isElementName = (name: string): boolean => /^[^?!#]/.test(name);

const localName = (name: string): string => name.slice(name.indexOf(':') + 1).toLowerCase();

const prefixOf = (name: string): string => (name.includes(':') ? name.slice(0, name.indexOf(':')) : '');

const isNamespaceDeclaration = (name: string): boolean => name === 'xmlns' || prefixOf(name) === 'xmlns';

const attributesOf = (node: OrderedNode): Map<string, string> =>
  new Map(
    Object.entries(node[ATTRIBUTES] ?? {})
      .filter(([name]) => !isNamespaceDeclaration(name))
      .map(([name, value]) => [localName(name), decoded(String(value))]),
  );

function namespaceOf(root: OrderedNode): string {
  const prefix = prefixOf(nameOf(root));
  return root[ATTRIBUTES]?.[prefix === '' ? 'xmlns' : `xmlns:${prefix}`] ?? '';
}

const XML_ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** XML 1.0 sections 4.1 and 4.6; a reference that is neither stays as it is. */
const decoded = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(amp|lt|gt|quot|apos));/gi, (whole, decimal, hex, name) => {
    if (name) return XML_ENTITIES[String(name).toLowerCase()] ?? whole;
    const codePoint = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return codePoint > 0 && codePoint <= 0x10ffff ? String.fromCodePoint(codePoint) : whole;
  });

function warnOnce(warnings: MetadataWarning[], code: MetadataWarningCode, detail: string): void {
  if (!warnings.some((warning) => warning.code === code)) warnings.push({ code, detail });
}
