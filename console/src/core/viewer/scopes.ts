/** What most sessions are asked for. */
import { Scope } from '../wire/oriel/v1/session_pb';

export const watching: readonly Scope[] = [Scope.VIEW];
export const controlling: readonly Scope[] = [Scope.VIEW, Scope.CONTROL];
