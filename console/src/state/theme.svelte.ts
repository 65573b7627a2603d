/** Light, dark, or as the system says; kept by this browser. */
export type Theme = 'auto' | 'light' | 'dark';

const NAME = 'oriel.theme';

class ThemeChoice {
  #chosen = $state<Theme>(stored());

  constructor() {
    this.#apply();
  }

  get chosen(): Theme {
    return this.#chosen;
  }

  set chosen(theme: Theme) {
    this.#chosen = theme;
    this.#apply();
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }

  #apply(): void {
    document.documentElement.dataset['theme'] = this.#chosen;
  }
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(NAME);
    return value === 'light' || value === 'dark' ? value : 'auto';
  } catch {
    return 'auto';
  }
}

export const theme = new ThemeChoice();
