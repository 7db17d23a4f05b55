/**
 * The public keys of an OpenID provider. Reading recordings must not stop when the provider does: keys that were fetched
 * once are used until newer ones can be had, and are kept in the index table for functions that start meanwhile.
 */
import type { Logger } from '@aws-lambda-powertools/logger';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import { issuerKeysKey, type TableKey } from '../../core/index-items.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { ProblemError } from './problems.ts';

/** A key that the provider has withdrawn is believed for so long, and for as long as the provider cannot be reached. */
const MAX_AGE_MS = 60 * 60_000;
/** Whatever tokens say, the provider is asked no more often. */
const MIN_INTERVAL_MS = 30_000;
const FETCH_TIMEOUT_MS = 3_000;

const jwksSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) });
const configurationSchema = z.object({ issuer: z.string(), jwks_uri: z.url() });
const storedSchema = z.object({ jwks: z.string(), fetchedAt: z.iso.datetime() });

interface KnownKeys {
  fetchedAtMs: number;
  find: JWTVerifyGetKey;
}

export interface IssuerKeysOptions {
  issuer: string;
  /** Where keys outlive a function. Each region keeps its own. */
  index: IndexTable;
  region: string;
  logger: Logger;
  /** Milliseconds since the epoch. */
  clock?: () => number;
}

export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  readonly #key: TableKey;
  readonly #clock: () => number;
  #known: KnownKeys | undefined;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
    this.#key = issuerKeysKey(options.issuer, options.region);
    this.#clock = options.clock ?? Date.now;
  }

  /**
   * The key that a token names.
   * @throws jose's JWKSNoMatchingKey; ProblemError 503 if there never was a key
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    this.#known ??= await this.#stored();
    if (this.#isOld()) await this.#refresh();
    if (!this.#known)
      throw new ProblemError(503, 'the keys of the OpenID provider cannot be had: try again', {
        'retry-after': String(MIN_INTERVAL_MS / 1000),
      });
    try {
      return await this.#known.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#refresh(); // the provider may have a new key
      return this.#known.find(header, token);
    }
  };

  #isOld(): boolean {
    return !this.#known || this.#clock() - this.#known.fetchedAtMs > MAX_AGE_MS;
  }

  /** Fetches the keys, unless that was tried just now. Keeps what it has when the provider does not answer. */
  #refresh(): Promise<void> {
    if (this.#refreshing) return this.#refreshing;
    if (this.#clock() - this.#triedAtMs < MIN_INTERVAL_MS) return Promise.resolve();
    this.#triedAtMs = this.#clock();
    this.#refreshing = this.#fetchAndKeep().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #fetchAndKeep(): Promise<void> {
    const { issuer, logger } = this.#options;
    try {
      const jwks = await fetchKeys(issuer);
      const fetchedAtMs = this.#clock();
      this.#known = { fetchedAtMs, find: createLocalJWKSet(jwks as JSONWebKeySet) };
      await this.#store(JSON.stringify(jwks), new Date(fetchedAtMs).toISOString());
    } catch (error) {
      logger.error('keys of the OpenID provider not renewed', { issuer, error: error as Error });
    }
  }

  async #store(jwks: string, fetchedAt: string): Promise<void> {
    const { table, tableName } = this.#options.index;
    await table.send(new PutCommand({ TableName: tableName, Item: { ...this.#key, jwks, fetchedAt } }));
  }

  async #stored(): Promise<KnownKeys | undefined> {
    const { index, logger, issuer } = this.#options;
    try {
      const { Item } = await index.table.send(new GetCommand({ TableName: index.tableName, Key: this.#key }));
      if (!Item) return undefined;
      const { jwks, fetchedAt } = storedSchema.parse(Item);
      const keys = jwksSchema.parse(JSON.parse(jwks));
      return { fetchedAtMs: Date.parse(fetchedAt), find: createLocalJWKSet(keys as JSONWebKeySet) };
    } catch (error) {
      logger.error('kept keys of the OpenID provider cannot be read', { issuer, error: error as Error });
      return undefined;
    }
  }
}

/** OpenID Connect Discovery 1.0, section 4. */
async function fetchKeys(issuer: string): Promise<z.infer<typeof jwksSchema>> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const configuration = configurationSchema.parse(await fetchJson(address));
  if (configuration.issuer !== issuer)
    throw new Error(`${address} is of the issuer ${configuration.issuer}, and api.auth.oidc names ${issuer}`);
  return jwksSchema.parse(await fetchJson(configuration.jwks_uri));
}

async function fetchJson(address: string): Promise<unknown> {
  const response = await fetch(address, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return response.json();
}
