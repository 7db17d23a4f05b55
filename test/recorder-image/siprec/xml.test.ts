import type { MetadataWarning } from '../../../recorder-image/src/siprec/warnings.ts';
import { readXml, type XmlElement } from '../../../recorder-image/src/siprec/xml.ts';

function read(text: string) {
  const warnings: MetadataWarning[] = [];
  const document = readXml(Buffer.from(text), undefined, warnings);
  return { document, codes: warnings.map(({ code }) => code) };
}

const depthOf = (element: XmlElement): number => 1 + Math.max(0, ...element.children.map(depthOf));

describe('readXml', () => {
  it('drops prefixes and case, keeps the namespace of the root, and decodes text', () => {
    const { document, codes } = read(
      '\ufeff<?xml version="1.0"?><!-- c --><r:Root xmlns:r="urn:r" r:ID="a&quot;b"> <r:Item>1 &lt; &#233;&#xE9; &amp;amp;</r:Item><![CDATA[ &amp; ]]></r:Root>',
    );
    expect(codes).toEqual([]);
    expect(document).toEqual({
      namespace: 'urn:r',
      root: {
        name: 'root',
        attributes: new Map([['id', 'a"b']]),
        text: '&amp;',
        children: [{ name: 'item', attributes: new Map(), text: '1 < éé &amp;', children: [] }],
      },
    });
  });

  it('reads the default namespace', () => {
    expect(read('<a xmlns="urn:a"/>').document?.namespace).toBe('urn:a');
    expect(read('<a/>').document?.namespace).toBe('');
  });

  it('expands no entity', () => {
    const { document } = read('<!DOCTYPE a [<!ENTITY x "expanded">]><a>&x;&unknown;</a>');
    expect(document?.root.text).toBe('&x;&unknown;');
    expect(read('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>')).toEqual({
      document: undefined,
      codes: ['metadata-unreadable'],
    });
  });

  it.each(['<a/>', '<a></a>', '<x:a><b/></x:a>', '<a><b/></a><!-- end -->'])('finds %s whole', (text) => {
    expect(read(text).codes).toEqual([]);
  });

  it('reads what is there of a document that was cut', () => {
    const { document, codes } = read('<a><b>1</b><c>2</c><d at');
    expect(codes).toEqual(['metadata-cut', 'metadata-not-well-formed']);
    expect(document?.root.children.map(({ name }) => name)).toEqual(['b', 'c']);
  });

  it.each(['', 'no xml', '<!-- only -->', '<', '<a><!-- >'])('cannot read %j', (text) => {
    expect(read(text)).toEqual({ document: undefined, codes: ['metadata-unreadable'] });
  });

  it('keeps the limits', () => {
    const deep = read(`${'<a>'.repeat(100)}${'</a>'.repeat(100)}`);
    expect(deep.codes).toEqual(['metadata-too-deep']);
    expect(deep.document && depthOf(deep.document.root)).toBe(32);

    const many = read(`<a>${'<b/>'.repeat(3000)}</a>`);
    expect(many.codes).toEqual(['metadata-too-many-elements']);
    expect(many.document?.root.children.length).toBe(1000);

    const large = read(`<a><b>1</b><c>${'x'.repeat(70_000)}</c></a>`);
    expect(large.codes).toEqual(['metadata-too-large', 'metadata-cut', 'metadata-not-well-formed']);
    expect(large.document?.root.children.map(({ name }) => name)).toEqual(['b', 'c']);
  });

  it.each([
    ['opened', '<a>'],
    ['empty', '<a/>'],
    ['closed', '</a>'],
    ['half', '<a '],
    ['attributes', '<a b="1" '],
    ['quotes', '<a b="'],
    ['references', '&amp;'],
    ['entities', '<!ENTITY x "y">'],
    ['comments', '<!--'],
  ])('takes little time for 60 kB of %s elements', (_, unit) => {
    // The thread's own time: others may have the processor meanwhile. What is quadratic takes many seconds.
    const before = process.threadCpuUsage();
    read(`<r>${unit.repeat(60_000 / unit.length)}</r>`);
    const { user, system } = process.threadCpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(500);
  });
});
