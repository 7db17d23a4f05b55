/** An error of the operating system, as it is told to people and kept in records. */

/** An errno name such as `ENOSPC`, and the text for people. */
export interface SystemError {
  code: string;
  message: string;
}

export const asSystemError = ({ code = 'EUNKNOWN', message }: NodeJS.ErrnoException): SystemError => ({
  code,
  message,
});
