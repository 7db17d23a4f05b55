/** Addresses of record: what SRCs write where RFC 7865 wants a SIP or tel URI. */
import { isIP } from 'node:net';

/** RFC 3966: characters that only help the eye. */
const VISUAL_SEPARATORS = /[-.() ]/g;

/**
 * The telephone number in an aor: digits, with a leading `+` if it has one.
 * It may be a sip, sips or tel URI, lack its scheme (BroadWorks) or be the bare number (Metaswitch).
 * @returns undefined if the user part is no telephone number
 */
export function telephoneNumber(aor: string): string | undefined {
  const user = userPart(aor).replace(/%2b/gi, '+');
  if (isIP(user)) return undefined;
  const digits = user.replace(VISUAL_SEPARATORS, '');
  return /^\+?\d{1,32}$/.test(digits) ? digits : undefined;
}

/** An aor as `user@host` in lower case, without scheme and parameters, to be compared with another. */
export const bareAor = (aor: string): string =>
  aor
    .trim()
    .replace(/^(?:sips?|tel):/i, '')
    .replace(/;.*$/s, '')
    .toLowerCase();

export const digitsOf = (number = ''): string => number.replace(/\D/g, '');

/** Shorter numbers, as extensions, can end alike by chance. */
const MIN_COMMON_DIGITS = 7;

/** One may be the national, the other the international form of a number; both are digits only. */
export const isLongSuffix = (one: string, other: string): boolean =>
  Math.min(one.length, other.length) >= MIN_COMMON_DIGITS && (one.endsWith(other) || other.endsWith(one));

/** The digits that two numbers of which one is a long suffix of the other have in common at least. */
export const commonTail = (digits: string): string => digits.slice(-MIN_COMMON_DIGITS);

/** How somebody can be reached. */
export interface Addresses {
  aors: readonly string[];
  number?: string;
}

/** Whether two have an aor, or the digits of their number, in common. */
export const shareAddress = (one: Addresses, other: Addresses): boolean => {
  const bare = one.aors.map(bareAor);
  const digits = digitsOf(one.number);
  return (
    other.aors.some((aor) => bare.includes(bareAor(aor))) ||
    (digits !== '' && digits === digitsOf(other.number))
  );
};

/** Without a host, the whole is the user (`sip:user`): parameters of either part are cut off. */
function userPart(aor: string): string {
  const bare = bareAor(aor);
  const at = bare.indexOf('@');
  return at < 0 ? bare : bare.slice(0, at);
}
