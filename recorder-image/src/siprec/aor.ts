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

/** Without a host, the whole is the user (`sip:user`): parameters of either part are cut off. */
function userPart(aor: string): string {
  const bare = bareAor(aor);
  const at = bare.indexOf('@');
  return at < 0 ? bare : bare.slice(0, at);
}
