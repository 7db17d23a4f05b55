/**
 * A recorder's metrics in CloudWatch: names shared by the recorder that tells them once a minute and the alarms that watch
 * them. Each comes twice, of its slot (dimension `SLOT_DIMENSION`) and of the whole region (no dimension).
 */
export const SLOT_DIMENSION = 'slot';
/** Of `InvitesRefused`, which also comes by the status of the answer, over all slots of the region. */
export const STATUS_DIMENSION = 'status';

export const METRIC_INTERVAL_SECONDS = 60;

/** CloudWatch's units, as far as they are used. */
export type RecorderMetricUnit = 'Count' | 'Milliseconds' | 'Seconds' | 'Bytes' | 'Percent';

/** What happened since the last line. */
export const RECORDER_COUNTERS = {
  /** INVITEs that became recordings, that were refused, and that the SRC cancelled. */
  invitesAnswered: { name: 'InvitesAnswered', unit: 'Count' },
  invitesRefused: { name: 'InvitesRefused', unit: 'Count' },
  invitesCancelled: { name: 'InvitesCancelled', unit: 'Count' },
  /** Taken in, and dropped by the kernel because they were not taken in time. */
  rtpPackets: { name: 'RtpPackets', unit: 'Count' },
  rtpDrops: { name: 'RtpDrops', unit: 'Count' },
  mediaWorkersReplaced: { name: 'MediaWorkersReplaced', unit: 'Count' },
  /** Recordings that S3 has taken; and tries at assembly or upload that failed and are made again. */
  recordingsFinished: { name: 'RecordingsFinished', unit: 'Count' },
  uploadFailures: { name: 'UploadFailures', unit: 'Count' },
  /** Writes to the fleet table that failed: load reports, and the ledger. */
  loadReportsFailed: { name: 'LoadReportsFailed', unit: 'Count' },
  ledgerWritesFailed: { name: 'LedgerWritesFailed', unit: 'Count' },
} as const satisfies Record<string, { name: string; unit: RecorderMetricUnit }>;

/** As it is now, or was in the minute before. Left out while nobody knows it. */
export const RECORDER_GAUGES = {
  activeRecordings: { name: 'ActiveRecordings', unit: 'Count' },
  callCapacity: { name: 'CallCapacity', unit: 'Count' },
  /** 1 or 0: whether new calls should come here, as `/healthz` says. */
  healthy: { name: 'Healthy', unit: 'Count' },
  /** 1 or 0: not healthy, and neither draining nor closed: nobody wants it to be so. */
  ailing: { name: 'Ailing', unit: 'Count' },
  /** From an INVITE until its 200 is given to the SIP server; absent in a minute without calls. */
  answerTimeP99: { name: 'AnswerTimeP99', unit: 'Milliseconds' },
  answerTimeMax: { name: 'AnswerTimeMax', unit: 'Milliseconds' },
  /** Recordings that have ended and are not in S3; and for how long the oldest has waited, in this process. */
  spoolPending: { name: 'SpoolPending', unit: 'Count' },
  spoolOldestSeconds: { name: 'SpoolOldestSeconds', unit: 'Seconds' },
  spoolFreeBytes: { name: 'SpoolFreeBytes', unit: 'Bytes' },
  /** Of the room that recordings may take on the spool's disk. */
  spoolFill: { name: 'SpoolFill', unit: 'Percent' },
  /** Set aside: nobody finishes them by itself. */
  unusableRecordings: { name: 'UnusableRecordings', unit: 'Count' },
  /** Of SIP's thread, 99th percentile of the minute. */
  eventLoopDelay: { name: 'EventLoopDelay', unit: 'Milliseconds' },
  /** Of all processors of the host. */
  cpu: { name: 'RecorderCpu', unit: 'Percent' },
} as const satisfies Record<string, { name: string; unit: RecorderMetricUnit }>;

export type RecorderCounter = keyof typeof RECORDER_COUNTERS;
export type RecorderGauge = keyof typeof RECORDER_GAUGES;
