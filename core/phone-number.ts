/**
 * Telephone numbers as the index keys them. SRCs write one number in several forms: `+12145550101`, `12145550101`,
 * `0012145550101`, `2145550101;phone-context=+1` (RFC 3966 5.1.5). What says its country is normalised to E.164; a
 * national number or an extension says none, and is found as it was sent.
 *
 * A key is digits only: `+` is lost too easily (in a query string it means a space) to tell two numbers apart.
 */

/** RFC 3966: characters that only help the eye. */
const VISUAL_SEPARATORS = /[-.()\s]/g;

const TELEPHONE = /^\+?\d{1,32}$/;

/** E.164 6.1: at most 15 digits with the country code, which never begins with 0; shorter than 7 is nobody's. */
const INTERNATIONAL = /^[1-9]\d{6,14}$/;

/** The international prefix that E.164 recommends. `011` of North America is not read: elsewhere it begins national numbers. */
const INTERNATIONAL_PREFIX = '00';

/**
 * The keys of a number: first its E.164 form where that is known, then as it was sent, each as digits; none if the text
 * is no telephone number.
 * @param context of RFC 3966 `phone-context`, or a country code, where there is one
 */
export function numberKeys(text: string, context?: string): string[] {
  const sent = text.replace(VISUAL_SEPARATORS, '');
  if (!TELEPHONE.test(sent)) return [];
  const digits = sent.replace('+', '');
  return [...new Set([internationalDigits(sent, context) ?? digits, digits])];
}

/** The keys of the number in an aor (sip, sips or tel URI, or without scheme); none if its user is no telephone number. */
export function aorNumberKeys(aor: string): string[] {
  const { user } = splitAor(aor);
  const [, context] = /;\s*phone-context=(\+\d+)/i.exec(aor) ?? [];
  return numberKeys(user, context);
}

/** An aor as `user@host` in lower case, without scheme and parameters; undefined where its user is a telephone number. */
export function addressKey(aor: string): string | undefined {
  const { user, host } = splitAor(aor);
  // RFC 3323 4.1.1.3: `anonymous@anonymous.invalid` is everybody's.
  if (!user || TELEPHONE.test(user.replace(VISUAL_SEPARATORS, '')) || host.endsWith('.invalid'))
    return undefined;
  return `${user}${host && `@${host}`}`;
}

function splitAor(aor: string): { user: string; host: string } {
  const bare = aor
    .trim()
    .toLowerCase()
    .replace(/^(?:sips?|tel):/, '')
    .replaceAll('%2b', '+');
  const at = bare.lastIndexOf('@');
  const cut = (part: string): string => part.replace(/[;?].*$/s, '').trim();
  return at < 0
    ? { user: cut(bare), host: '' }
    : { user: cut(bare.slice(0, at)), host: cut(bare.slice(at + 1)) };
}

function internationalDigits(sent: string, context?: string): string | undefined {
  const candidates = [
    sent.startsWith('+') ? sent.slice(1) : undefined,
    context && !sent.startsWith('+') ? context.replace('+', '') + sent : undefined,
    sent.startsWith(INTERNATIONAL_PREFIX) ? sent.slice(INTERNATIONAL_PREFIX.length) : undefined,
  ];
  return candidates.find((digits) => digits !== undefined && INTERNATIONAL.test(digits));
}
