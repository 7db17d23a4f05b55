import { haveWords, nameKey, nameWords } from '../../core/name-words.ts';

describe('nameWords', () => {
  it.each([
    ['Alice Smith', ['alice', 'smith']],
    ['  José-María  GARCÍA, jr. ', ['jose', 'maria', 'garcia', 'jr']],
    ["O'Neil (Sales 2)", ['o', 'neil', 'sales', '2']],
    ['Ｍüller', ['muller']],
    ['王伟', ['王伟']],
    ['alice ALICE Alicé', ['alice']],
    ['...', []],
    ['', []],
  ])('takes %j for %j', (text, words) => {
    expect(nameWords(text)).toEqual(words);
  });

  it('is bounded, whatever a name is', () => {
    expect(nameWords('x'.repeat(10_000))).toEqual(['x'.repeat(40)]);
    expect(nameWords(Array.from({ length: 500 }, (_, index) => `w${index}`).join(' '))).toHaveLength(64);
  });

  it('gives what it gives again', () => {
    for (const text of ['José María', 'ŞİŞLİ straße', 'ﬁne ½'])
      expect(nameWords(nameWords(text).join(' '))).toEqual(nameWords(text));
  });
});

describe('haveWords', () => {
  const words = nameWords('Alice Smith-Jones Al 王伟');
  it.each([
    ['ali', true],
    ['ALICE', true],
    ['smi ali', true],
    ['jon', true],
    ['al', true], // the whole word
    ['王伟', true],
    ['sm', false],
    ['lice', false],
    ['alicex', false],
    ['alice bob', false],
  ])('%s: %s', (asked, expected) => {
    expect(haveWords(words, nameWords(asked))).toBe(expected);
  });

  it('finds nothing that the key of a word does not find', () => {
    for (const asked of words.flatMap((word) => [word, word.slice(0, 3), word.slice(0, 4)]))
      expect(words.filter((word) => haveWords([word], [asked])).map(nameKey)).toEqual(
        words.filter((word) => haveWords([word], [asked])).map(() => nameKey(asked)),
      );
  });
});
