// The other engine: runs the jobs of a plan with node:wasi, one after the other.
//
// Argument: the plan, as `tests/it/programs.rs` writes it. For each job it leaves `stdout`, `stderr` and `code` in the
// job's folder below `plan.expected`.

import fs from "node:fs";
import path from "node:path";
import { WASI } from "node:wasi";

const plan = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const modules = new Map();
// Some versions of Node crash when they collect an instance that has ended.
const kept = [];

for (const job of plan.jobs) {
  const program = plan.programs[job.program];
  if (!modules.has(job.program)) {
    modules.set(job.program, await WebAssembly.compile(fs.readFileSync(program.module)));
  }
  const folder = path.join(plan.expected, job.name);
  const out = path.join(folder, "out");
  fs.mkdirSync(out, { recursive: true });
  const [stdin, stdout, stderr] = [
    fs.openSync(job.stdin ?? "/dev/null", "r"),
    fs.openSync(path.join(folder, "stdout"), "w"),
    fs.openSync(path.join(folder, "stderr"), "w"),
  ];
  const preopens = Object.fromEntries(job.dirs.map(([host, guest]) => [guest, host]));
  if (job.writes) {
    preopens["/out"] = out;
  }
  const wasi = new WASI({
    version: program.wasi === "wasi_unstable" ? "unstable" : "preview1",
    args: job.argv,
    env: job.env,
    preopens,
    stdin,
    stdout,
    stderr,
    returnOnExit: true,
  });
  const instance = await WebAssembly.instantiate(modules.get(job.program), { [program.wasi]: wasi.wasiImport });
  kept.push(wasi, instance);
  const code = wasi.start(instance) ?? 0;
  fs.writeFileSync(path.join(folder, "code"), String(code));
  [stdin, stdout, stderr].forEach((descriptor) => fs.closeSync(descriptor));
}
