export interface Row {
  name: string;
  length: number;
  index: number;
}

/** A line for each row. */
export function table(rows: readonly Row[]): string {
  const widest = rows.reduce((most, { length }) => Math.max(most, length), 0);
  return rows.map(({ name, length, index }) => `${index}. ${name.padEnd(widest, "·")} ${length}\n`).join("");
}

export function unused(): never {
  throw new Error("nobody calls this");
}
