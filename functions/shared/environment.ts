/** Environment variables of the functions: names shared by the constructs that set them and the handlers that read them. */
export const INDEX_TABLE = 'SIPREC_INDEX_TABLE';
export const FLEET_TABLE = 'SIPREC_FLEET_TABLE';

/**
 * Reads a variable that the construct must have set.
 * @throws Error naming the variable
 */
export function requireEnvironment(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error(`environment variable ${name} is not set: the construct of this function must set it`);
  return value;
}
