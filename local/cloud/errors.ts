/** The local cloud cannot do what was asked. The message is for the person at the terminal: what, and the remedy. */
export class LocalCloudError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LocalCloudError';
  }
}
