// How often figures are asked for anew: the longer the server takes to add them up, the rarer, and never two at once.

/** Of all time, one part in so many is spent on adding up. */
const PART = 10;

export class Pace {
  private open = 0;
  private cost = 0;

  constructor(
    private readonly least: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** An answer is awaited: to ask again now would only throw it away. */
  get isBusy(): boolean {
    return this.open > 0;
  }

  /** Milliseconds to the next asking. */
  get wait(): number {
    return Math.max(this.least, this.cost * PART);
  }

  async measured<T>(work: () => Promise<T>): Promise<T> {
    const begun = this.now();
    this.open += 1;
    try {
      const made = await work();
      this.cost = this.now() - begun;
      return made;
    } finally {
      this.open -= 1;
    }
  }
}
