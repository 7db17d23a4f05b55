/** Writes that DynamoDB carries out only if a condition holds. */
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';

/** @returns false if the condition did not hold @throws the SDK's other errors */
export async function unlessRefused(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}
