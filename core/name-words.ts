/**
 * Words of participants' names, as the index keys them and as somebody searches for them: without case and accents.
 *
 * A word is keyed by its beginning, so that one partition answers for all words that begin with what was asked for.
 */

/** Of a word: long enough to tell names apart, short enough to be part of what is asked for. */
const KEY_CHARACTERS = 3;
const MAX_WORD_CHARACTERS = 40;
/** Of a recording; each word may be one more entry of the index. A call of two people has about four. */
const MAX_WORDS = 64;

/** The distinct words of a text, in order. */
export function nameWords(text: string): string[] {
  const plain = text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  const words = plain.split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  return [...new Set(words.map((word) => [...word].slice(0, MAX_WORD_CHARACTERS).join('')))].slice(
    0,
    MAX_WORDS,
  );
}

/** The key of a word: its first three characters, or all that it has. */
export const nameKey = (word: string): string => [...word].slice(0, KEY_CHARACTERS).join('');

/** Whether each word that was asked for begins one of a recording's. One of less than three characters must be a whole word. */
export const haveWords = (words: readonly string[], asked: readonly string[]): boolean =>
  asked.every((begin) =>
    words.some((word) => ([...begin].length < KEY_CHARACTERS ? word === begin : word.startsWith(begin))),
  );
