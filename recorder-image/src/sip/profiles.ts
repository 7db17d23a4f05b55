/** How far each kind of SRC is held to RFC 7866. */
import type { SourceProfile } from '../../../core/deployment.ts';
import { lists } from './headers.ts';
import type { SipRequest } from './sip-server.ts';

export interface ProfileRules {
  /** RFC 7866 section 6.2: an INVITE starts a recording session only if it says so, in two places. */
  marksRequired: boolean;
  /** Whether all of its metadata may be asked for when some is missing (section 9.2). */
  takesSnapshotRequests: boolean;
}

export const PROFILES: Record<SourceProfile, ProfileRules> = {
  broadworks: { marksRequired: false, takesSnapshotRequests: false },
  rfc7866: { marksRequired: true, takesSnapshotRequests: true },
  generic: { marksRequired: false, takesSnapshotRequests: true },
};

/** The marks of a recording session that an INVITE lacks. Some SRCs write `+sip.src` inside the angle brackets. */
export function missingMarks(invite: SipRequest): string[] {
  const marks: [present: boolean, mark: string][] = [
    [/;\s*\+sip\.src\b/i.test(invite.header('Contact') ?? ''), '+sip.src in Contact'],
    [lists(invite, 'Require', 'siprec'), 'siprec in Require'],
  ];
  return marks.filter(([present]) => !present).map(([, mark]) => mark);
}
