/** Short notes at the edge of the page, said to screen readers too. */
export interface Note {
  id: number;
  text: string;
  bad: boolean;
}

const SHOWN = 6_000;

class Notes {
  list = $state<Note[]>([]);
  #last = 0;

  say(text: string, bad = false): void {
    const id = ++this.#last;
    this.list = [...this.list.filter((n) => n.text !== text), { id, text, bad }].slice(-3);
    setTimeout(() => this.dismiss(id), SHOWN);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((n) => n.id !== id);
  }
}

export const notes = new Notes();
