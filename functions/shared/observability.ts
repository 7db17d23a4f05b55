/** Logger and metrics of a function; log lines are JSON, metrics are CloudWatch's embedded format. */
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';
import { METRICS_NAMESPACE } from '../../core/names.ts';
import { METRICS_NAMESPACE_VARIABLE } from './environment.ts';

export const createLogger = (serviceName: string): Logger => new Logger({ serviceName });

export const createMetrics = (serviceName: string): Metrics =>
  new Metrics({ namespace: process.env[METRICS_NAMESPACE_VARIABLE] || METRICS_NAMESPACE, serviceName });
