/**
 * Where each fact lies in the metadata of each dialect.
 *
 * All dialects descend from one draft and nowhere use one name for two things, so there is one table for all: a new
 * dialect adds a row or a place, and a document that mixes them is still read.
 *
 * Names are local names (prefixes stripped) in lower case, because the dialects differ in both.
 */

/** How a document is recognised: its root element and that element's namespace. */
export const DIALECTS = [
  /** The pre-RFC form that BroadWorks and Webex Calling send. */
  { dialect: 'broadworks', root: 'recording_metadata', namespace: 'urn:ietf:params:xml:ns:siprec' },
  /** RFC 7865: Cisco CUBE, Avaya SBCE, NetSapiens, OpenSIPS, Ribbon and AudioCodes where so configured. */
  { dialect: 'rfc7865', root: 'recording', namespace: 'urn:ietf:params:xml:ns:recording:1' },
  /** Its drafts: Oracle, Ribbon, AudioCodes, Metaswitch. */
  { dialect: 'draft', root: 'recording', namespace: 'urn:ietf:params:xml:ns:recording' },
] as const;

/**
 * `unknown`: neither root nor namespace is known; what looks familiar is read.
 * `none`: there was no metadata, the parties are those of the SIP headers.
 */
export type Dialect = (typeof DIALECTS)[number]['dialect'] | 'unknown' | 'none';

/**
 * A place relative to an element: names of children joined by `/`; `@name` at the end is an attribute, otherwise the
 * text is meant. Of several places of a fact, the first that holds a value is used.
 */
export type Place = string;
export type Places = Readonly<Record<string, readonly Place[]>>;

export const DATA_MODE: readonly Place[] = ['datamode'];
export const RECORDING_ID: readonly Place[] = ['recording/@id'];

/** What the children of the root describe. Rows of one kind with one id describe one thing together. */
export interface ElementRow {
  element: string;
  kind: 'group' | 'session' | 'participant' | 'stream';
  /** False for RFC 7865's associations: they only add to what another element defines. */
  defines: boolean;
  /** Tells whether a participant contributes, so that a missing `send` means silence (RFC 7865 section 6.8.1). */
  tellsStreams?: true;
  facts: Places;
}

export const ELEMENTS: readonly ElementRow[] = [
  { element: 'group', kind: 'group', defines: true, facts: { id: ['@group_id', '@id'] } },
  {
    element: 'session',
    kind: 'session',
    defines: true,
    facts: {
      id: ['@session_id', '@id'],
      groupId: ['group-ref', '@group'],
      sipSessionIds: ['sipsessionid'],
      startedAt: ['start-time', 'associate-time'],
      stoppedAt: ['stop-time', 'disassociate-time'],
    },
  },
  {
    element: 'participant',
    kind: 'participant',
    defines: true,
    facts: {
      id: ['@participant_id', '@id'],
      aors: ['nameid/@aor', 'aor'],
      names: ['nameid/name'],
      sends: ['send/id', 'send'],
      receives: ['recv/id', 'recv'],
      joins: ['associate-time'],
      leaves: ['disassociate-time'],
    },
  },
  {
    element: 'participantsessionassoc',
    kind: 'participant',
    defines: false,
    facts: {
      id: ['@participant_id'],
      joins: ['associate-time'],
      leaves: ['disassociate-time'],
    },
  },
  {
    element: 'participantstreamassoc',
    kind: 'participant',
    defines: false,
    tellsStreams: true,
    facts: { id: ['@participant_id'], sends: ['send'], receives: ['recv'] },
  },
  {
    element: 'stream',
    kind: 'stream',
    defines: true,
    facts: { id: ['@stream_id', '@id'], label: ['label'], mode: ['mode'] },
  },
];

/** The extension of BroadWorks, versions 1.0 to 4.0: the same elements, so the version decides nothing. */
export const BROADWORKS_EXTENSION = 'broadworksrecordingmetadata';

export const BROADWORKS_FACTS = {
  version: ['@version'],
  extTrackingId: ['exttrackingid'],
  newExtTrackingId: ['redirectedcall/newexttrackingid'],
  serviceProviderId: ['serviceproviderid'],
  groupId: ['groupid'],
  userId: ['userid'],
  callId: ['callid'],
  recordingType: ['recordingtype'],
  callingPartyNumber: ['calltype/origcall/callingpartynumber', 'calltype/termcall/callingpartynumber'],
  calledPartyNumber: ['calltype/origcall/calledpartynumber', 'calltype/termcall/calledpartynumber'],
  dialedDigits: ['calltype/origcall/dialeddigits'],
} as const satisfies Places;

export const BROADWORKS_REDIRECT_FACTS = {
  lastRedirectNumber: ['calltype/termcall/redirectinfo/lastredirectnumber'],
  origCalledNumber: ['calltype/termcall/redirectinfo/origcallednumber'],
  numOfRedirections: ['calltype/termcall/redirectinfo/numofredirections'],
  redirectedFromPartyNumber: ['redirectedcall/redirectedfrompartynumber'],
  redirectedToPartyNumber: ['redirectedcall/redirectedtopartynumber'],
} as const satisfies Places;

export const BROADWORKS_ACD_FACTS = {
  userId: ['acd/acduserid'],
  name: ['acd/acdname'],
  number: ['acd/acdnumber'],
  countryCode: ['acd/acdnumber/@countrycode'],
} as const satisfies Places;

/** The recorded user called (`origCall`) or was called (`termCall`). */
export const BROADWORKS_DIRECTIONS = [
  { element: 'calltype/origcall', direction: 'outgoing' },
  { element: 'calltype/termcall', direction: 'incoming' },
] as const;

/**
 * Elements of other vendors' extensions that identify the call, wherever they stand: Avaya's UCID as Oracle and
 * AudioCodes pass it on, and the Genesys UUID.
 */
export const CORRELATION_ELEMENTS: readonly string[] = ['ucid', 'avayaucid', 'genesysuuid'];

/** NetSapiens opens a new recording session at every turn of a call: one group, numbered. */
export const NETSAPIENS_EXTENSION = 'netsapiensextension';

export const NETSAPIENS_FACTS = {
  groupId: ['group_id', 'groupid', '@group_id'],
  groupSequence: ['groupseq', '@groupseq'],
} as const satisfies Places;

/** What participants are called that stand for the SRC itself until the real ones are known (Avaya SBCE). */
export const PLACEHOLDER_USERS: readonly string[] = ['asbce'];

/** Extensions whose content the vendor or the operator chooses (Ribbon, Metaswitch): it is not looked at. */
export const OPAQUE_ELEMENTS: readonly string[] = [
  'calldata',
  'metaswitchrecordingmetadata',
  NETSAPIENS_EXTENSION,
];

/** Elements that are known and hold nothing that a recording needs; the raw XML is kept anyway. */
const KNOWN_BUT_UNUSED = [
  'recording/requestor',
  'recording/type',
  'group/initiator',
  'group/associate-time',
  'group/disassociate-time',
  'session/reason',
  'sessionrecordingassoc/associate-time',
  'sessionrecordingassoc/disassociate-time',
  'stream/associate-time',
  'stream/content-type',
  'extensiondata',
  // Oracle: headers of the call, and where it came in
  'callerorig',
  'callingparty',
  'request-uri',
  'realm',
  'in-realm',
  'header/value',
];

/** Every element name of the table; any other deserves a warning. */
export const KNOWN_ELEMENTS: ReadonlySet<string> = new Set(
  [
    DATA_MODE,
    RECORDING_ID,
    ...ELEMENTS.flatMap(({ element, facts }) => [[element], ...Object.values(facts)]),
    [BROADWORKS_EXTENSION],
    ...[BROADWORKS_FACTS, BROADWORKS_REDIRECT_FACTS, BROADWORKS_ACD_FACTS].flatMap((facts) =>
      Object.values(facts),
    ),
    CORRELATION_ELEMENTS,
    OPAQUE_ELEMENTS,
    KNOWN_BUT_UNUSED,
  ]
    .flat()
    .flatMap((place) => place.split('/'))
    .filter((name) => !name.startsWith('@')),
);
