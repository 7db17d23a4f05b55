/** What all AWS clients of a recorder have in common. */

/** For the SDK: what fails is thrown, and logged with what it is about. */
export const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

const CONNECT_MS = 1_000;

/** For what is asked or told every few seconds: the next time is the second try. */
export const oneQuickTry = (limitMs: number) => ({
  maxAttempts: 1,
  requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: limitMs },
  logger: SILENT,
});
