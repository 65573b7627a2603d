/** The reading of what a page shows: how it stands, and once more. */
import { problemWords } from '../i18n/problems';

export class Reading {
  /** Why it failed; empty: it did not. */
  problem = $state('');
  /** Until it was read, or could not be. */
  busy = $state(true);
  #read: () => Promise<unknown>;
  #last = 0; // what is answered to an earlier one is let go

  constructor(read: () => Promise<unknown>) {
    this.#read = read;
  }

  /** Reads at once. */
  static of(read: () => Promise<unknown>): Reading {
    const reading = new Reading(read);
    void reading.again();
    return reading;
  }

  again = async (): Promise<void> => {
    const mine = ++this.#last;
    this.busy = true;
    let problem = '';
    try {
      await this.#read();
    } catch (error) {
      problem = problemWords(error);
    }
    if (mine !== this.#last) return;
    this.problem = problem;
    this.busy = false;
  };
}
