/** What somebody asks for who may connect to a computer only after a second person agreed. */
import { api, take, whole, type Schema } from '../../core/relay/api';

export type Approval = Schema<'Approval'>;

export class OwnApproval {
  /** The last one that was open; undefined: nothing was asked for yet. */
  last = $state.raw<Approval>();
  readonly #computer: string;

  constructor(computer: string) {
    this.#computer = computer;
  }

  /** Looks whether one is open, or what became of the one that was. */
  async look(): Promise<void> {
    const all = await whole((query) => take(api.GET('/api/v1/me/approvals', { params: { query } })));
    const open = ({ computer, outcome, until }: Approval) =>
      computer.id === this.#computer && outcome === 'asked' && Date.parse(until) > Date.now();
    this.last = this.last ? all.find(({ id }) => id === this.last?.id) : all.find(open);
  }

  async ask(reason: string): Promise<void> {
    const body = { computer: this.#computer, reason };
    this.last = await take(api.POST('/api/v1/approvals', { body }));
  }
}
