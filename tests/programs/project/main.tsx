import { table, type Row } from "./table";
import names from "./names.json";
import "./page.css";

enum Level {
  Low = 1,
  High = Low << 3,
}

class Counter {
  #count = 0;
  static made = 0;
  constructor(readonly level: Level = Level.High) {
    Counter.made++;
  }
  next = async (step?: number): Promise<number> => (this.#count += step ?? this.level);
}

const rows: Row[] = names.map((name, index) => ({ name, length: [...name].length, index }));
const lazy = () => import("./lazy");

export async function main(): Promise<string> {
  const counter = new Counter();
  for await (const row of rows) {
    await counter.next(row?.length ** 2);
  }
  const { shout } = await lazy();
  return shout(table(rows)) + `${await counter.next()} – ${Counter.made}`;
}
