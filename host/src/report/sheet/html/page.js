"use strict";
// Everything that comes from the data is put into the page as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const classes = data.classes;
const words = { passed: "Passed", failed: "Failed", limit: "Limit met", crashed: "Worker died", error: "Not set up", skipped: "Not run" };
const ROWS_AT_ONCE = 100;
const BARS_MAX = 6000;

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  return node;
}
function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  for (const child of children) node.append(child);
  return node;
}
const count = (n) => n.toLocaleString("en-US");
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
function time(ms) {
  if (ms === null || ms === undefined) return "–";
  const short = (value) => String(Number(value.toPrecision(3)));
  if (ms === 0) return "0";
  if (ms < 1) return `${short(ms * 1e3)} µs`;
  if (ms < 1e3) return `${short(ms)} ms`;
  if (ms < 6e4) return `${short(ms / 1e3)} s`;
  const s = Math.round(ms / 1e3);
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}
function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${Number(n.toPrecision(3))} ${units[unit]}`;
}

// A class has a colour and a mark, so that it can be told without colours.
function mark(name, x, y, width, height) {
  const [r, b] = [x + width, y + height];
  const paths = {
    failed: `M${x} ${b}L${r} ${y}`,
    limit: `M${x} ${y + height / 2}H${r}`,
    crashed: `M${x} ${y}L${r} ${b}M${x} ${b}L${r} ${y}`,
    error: `M${x + width / 2} ${y}V${b}`,
    skipped: `M${x} ${y}L${r} ${b}`,
  };
  return paths[name] ? svg("path", { class: "mark", d: paths[name] }) : null;
}
function swatch(name) {
  const icon = svg("svg", { width: 14, height: 14, viewBox: "0 0 14 14", class: name, "aria-hidden": "true" });
  icon.append(svg("rect", { class: "bar", width: 14, height: 14, rx: 3 }));
  const sign = mark(name, 3, 3, 8, 8);
  if (sign) icon.append(sign);
  return icon;
}

// The head.
function head() {
  const tasks = data.tasks;
  const stopped = {
    halted: "Halted", interrupted: "Interrupted", terminated: "Terminated", input_lost: "Incomplete",
    result_lost: "Incomplete", log_lost: "Incomplete", output_closed: "Stopped",
  }[data.interruption];
  const verdict = stopped || (tasks.failed > 0 ? "Failed" : data.exit_code !== 0 ? "Incomplete" : "Passed");
  $("verdict").textContent = verdict;
  $("verdict").classList.add(verdict === "Passed" ? "ok" : verdict === "Failed" ? "bad" : "odd");
  $("title").textContent = data.title;
  document.title = `${verdict}: ${data.title} – wasmpool`;
  const began = new Date(data.began_ms);
  $("what").textContent = `${began.toISOString().slice(0, 19).replace("T", " ")} UTC · took ${time(data.elapsed_ms)} · `
    + `${plural(data.workers, "worker")} · exit code ${data.exit_code}`;
  $("command").textContent = data.command.join(" ");
  const cards = [
    ["Tasks", tasks.total, "var(--accent)", ""],
    ["Succeeded", tasks.succeeded, "var(--passed)", "outcome=passed"],
    ["Failed", tasks.failed, tasks.failed ? "var(--failed)" : "", "outcome=failed"],
  ];
  if (tasks.flaky) cards.push(["Flaky", tasks.flaky, "var(--limit)", "outcome=flaky"]);
  if (data.attempts.retried) cards.push(["Retries", data.attempts.retried, "var(--limit)", "outcome=retried"]);
  if (tasks.not_finished) cards.push(["Not finished", tasks.not_finished, "var(--skipped)", "outcome=skipped"]);
  if (tasks.kept) cards.push(["Kept from before", tasks.kept, "var(--skipped)", ""]);
  const longest = data.times.max / 1e3;
  cards.push(["Longest", time(longest), "", "sort=-wall_ms"], ["Peak memory", bytes(data.memory.max || null), "", "sort=-memory"]);
  for (const [name, number, tone, link] of cards) {
    const value = el("dd", {}, typeof number === "number" ? count(number) : number);
    const card = el("div", {}, el("dt", {}, name), value);
    if (link && number !== 0) { value.textContent = ""; value.append(el("a", { href: `#${link}` }, typeof number === "number" ? count(number) : number)); }
    if (tone) card.style.setProperty("--tone", tone);
    $("numbers").append(card);
  }
  $("foot").textContent = `Written by wasmpool ${data.version}.`;
}

// A round step so that an axis of this length has about so many.
function steps(length, about) {
  const rough = length / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) || rough;
  const all = [];
  for (let at = 0; at <= length + step / 1e6; at += step) all.push(at);
  return all;
}

function timeline() {
  const box = $("timeline");
  const slots = data.slots;
  for (const name of classes) {
    if (data.attempts.by_class[classes.indexOf(name)] > 0) $("legend").append(el("li", {}, swatch(name), words[name]));
  }
  if (slots === 0) { box.append(el("p", { class: "note" }, "No task ran.")); return; }
  const ran = data.rows.filter((row) => row.slot !== null);
  const all = data.attempts.shown === data.attempts.total && ran.length <= BARS_MAX;
  const shown = all ? slots : data.grid.slots.length;
  const end = Math.max(1e-6, all ? Math.max(...ran.map((row) => row.start_ms + row.wall_ms)) : lastColumn() * data.grid.step_ms);
  const narrow = box.clientWidth < 560;
  const left = narrow ? 34 : 64;
  const width = Math.max(300, box.clientWidth);
  const lane = shown <= 12 ? 26 : shown <= 40 ? 18 : 12;
  const gap = lane > 14 ? 4 : 2;
  const height = shown * lane + 26;
  const x = (ms) => left + (ms / end) * (width - left - 8);
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "data-slots": slots,
    "aria-label": `Which of ${plural(slots, "slot")} ran what, from the start to ${time(end)}. The table below has the same attempts.` });
  for (const at of steps(end, width / 110)) {
    picture.append(svg("line", { class: "rule", x1: x(at), x2: x(at), y1: 0, y2: shown * lane }));
    const anchor = at === 0 ? "start" : x(at) > width - 40 ? "end" : "middle";
    picture.append(svg("text", { x: x(at), y: height - 8, "text-anchor": anchor }, time(at)));
  }
  for (let slot = 0; slot < shown; slot += 1) {
    if (shown <= 40 || slot % 5 === 4 || slot === 0) {
      const label = narrow ? String(slot + 1) : `slot ${slot + 1}`;
      picture.append(svg("text", { x: left - 8, y: slot * lane + lane / 2 + 4 - gap / 2, "text-anchor": "end" }, label));
    }
    picture.append(svg("rect", { class: "track", x: left, y: slot * lane, width: width - left - 8, height: lane - gap, rx: 3 }));
  }
  if (!all) columns(picture, x, lane, gap);
  for (const row of ran) {
    if (!all && (row.class === "passed" || row.slot > shown)) continue;
    bar(picture, row, x, lane, gap, all);
  }
  box.append(picture);
  const note = all
    ? `Each bar is an attempt, in one of ${plural(slots, "slot")}: as many as ran at one time. Click one to see it in the table.`
    : `How busy each slot was, over all ${count(data.attempts.total)} attempts; marked are ${data.attempts.all_failures_shown ? "all" : `the first ${count(data.rows.filter((row) => row.class !== "passed").length)}`} that did not succeed.`
      + (shown < slots ? ` ${plural(slots - shown, "more slot")} not shown.` : "");
  $("timeline-note").textContent = note;
}
function lastColumn() {
  let last = 0;
  for (const slot of data.grid.slots) slot.busy.forEach((busy, at) => { if (busy > 0 || slot.ended[at] > 0) last = Math.max(last, at + 1); });
  return Math.max(1, last);
}
function columns(picture, x, lane, gap) {
  const step = data.grid.step_ms;
  data.grid.slots.forEach((slot, index) => {
    slot.busy.forEach((busy, at) => {
      const share = Math.min(100, Math.max(busy, slot.ended[at] ? 5 : 0)) / 100;
      if (share === 0) return;
      const size = (lane - gap) * share;
      const begin = x(at * step);
      picture.append(svg("rect", { class: "busy", x: begin, y: index * lane + (lane - gap) - size, width: x((at + 1) * step) - begin + 0.3, height: size }));
    });
  });
}
function bar(picture, row, x, lane, gap, all) {
  const y = (row.slot - 1) * lane;
  const begin = x(row.start_ms);
  const width = Math.max(all ? 1.5 : 2, x(row.start_ms + row.wall_ms) - begin - (all ? 0.5 : 0));
  const group = svg("g", { class: `task ${row.class}`, "data-index": data.rows.indexOf(row), "data-class": row.class });
  group.append(svg("rect", { class: row.retried ? "bar again" : "bar", x: begin, y, width, height: lane - gap, rx: width > 6 ? 3 : 0 }));
  if (width > 8) {
    const size = Math.min(lane - gap - 4, width - 4);
    const sign = mark(row.class, begin + width / 2 - size / 2, y + (lane - gap - size) / 2, size, size);
    if (sign) group.append(sign);
  } else if (row.class !== "passed") {
    // Too narrow for its mark: it stands out instead.
    group.append(svg("path", { class: "bar", d: `M${begin + width / 2 - 4} ${y}h8l-4 6z` }));
  }
  picture.append(group);
}
function tip(event) {
  const group = event.target.closest && event.target.closest(".task");
  const box = $("tip");
  if (!group) { box.hidden = true; return; }
  const row = data.rows[Number(group.dataset.index)];
  box.textContent = "";
  box.append(el("b", {}, row.name), `${describe(row)} · ${time(row.wall_ms)}`, el("br"), `from ${time(row.start_ms)} on, slot ${row.slot}, peak memory ${bytes(row.memory)}`);
  box.hidden = false;
  const [width, height] = [box.offsetWidth, box.offsetHeight];
  box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  box.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
}
function describe(row) {
  const again = row.attempt > 1 || row.retried ? `, attempt ${row.attempt}${row.retried ? ", tried again" : ""}` : "";
  return `${words[row.class]} (${row.code})${again}`;
}

function histogram(id, chart, what, shown, note) {
  const box = $(id);
  if (chart.bars.length === 0) { $(`${id}-note`).textContent = note; return; }
  const totals = chart.bars.map((bar) => bar[2].reduce((sum, n) => sum + n, 0));
  const all = totals.reduce((sum, n) => sum + n, 0);
  const part = (share) => {
    let left = Math.ceil(all * share);
    for (let at = 0; at < totals.length; at += 1) { left -= totals[at]; if (left <= 0) return Math.min(chart.max, chart.bars[at][1]); }
    return chart.max;
  };
  $(`${id}-note`).textContent = `Half of ${plural(all, "attempt")} within ${shown(part(0.5))}, 95 % within ${shown(part(0.95))}, all within ${shown(chart.max)}.`;
  const width = Math.max(260, box.clientWidth);
  const most = Math.max(...totals);
  const [height, left, foot] = [170, 22 + 8 * count(most).length, 24];
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Histogram of ${what}. ${$(`${id}-note`).textContent}` });
  const y = (n) => (height - foot) * (1 - n / most) + 6 * (n / most);
  for (const at of steps(most, 3).filter((n) => Number.isInteger(n) && n <= most)) {
    picture.append(svg("line", { class: "rule", x1: left, x2: width, y1: y(at), y2: y(at) }), svg("text", { x: left - 8, y: y(at) + 4, "text-anchor": "end" }, count(at)));
  }
  // Few bars do not become walls.
  const size = Math.min(56, (width - left - 4) / chart.bars.length);
  const every = Math.max(1, Math.ceil(70 / size));
  chart.bars.forEach(([from, to, counts], at) => {
    let top = 0;
    const begin = left + 2 + at * size;
    const title = svg("title", {}, `${shown(from)} to ${shown(to)}: ${plural(totals[at], "attempt")}`);
    const stack = svg("g", {}, title);
    counts.forEach((n, index) => {
      if (n === 0) return;
      const [upper, lower] = [y(top + n), y(top)];
      const high = Math.max(1.5, lower - upper);
      const piece = svg("g", { class: classes[index] }, svg("rect", { class: "bar", x: begin + 0.5, y: lower - high, width: Math.max(1, size - 2), height: high }));
      if (size > 12 && high > 12) {
        const sign = mark(classes[index], begin + size / 2 - 5, lower - high / 2 - 4, 8, 8);
        if (sign) piece.append(sign);
      }
      stack.append(piece);
      top += n;
    });
    picture.append(stack);
    if (at % every === 0 && begin < width - 44) {
      picture.append(svg("text", { x: begin, y: height - 6, "text-anchor": "start" }, shown(from)));
    }
  });
  picture.append(svg("line", { class: "rule", x1: left, x2: width, y1: height - foot, y2: height - foot }));
  box.append(picture);
}

function codes() {
  if (data.codes.length === 0) return;
  $("codes-section").hidden = false;
  const most = Math.max(...data.codes.map((code) => code.count));
  for (const code of [...data.codes].sort((a, b) => b.count - a.count)) {
    const link = el("a", { href: `#code=${code.code}` }, el("b", {}, String(code.code)), el("span", {}, code.meaning), el("b", {}, count(code.count)));
    link.style.setProperty("--part", `${(code.count / most) * 100}%`);
    $("codes").append(el("li", {}, link));
  }
}

// The table. What it shows is in the address, so that it is a link.
const state = { text: "", outcome: "", attempt: "", group: "", code: "", sort: "", task: "" };
const table = [
  ["seq", "#", "number wide"], ["name", "Task", ""], ["class", "Outcome", ""], ["attempt", "Attempt", "number wide"],
  ["start_ms", "Start", "number wide"], ["wait_ms", "Waited", "number wide"], ["wall_ms", "Duration", "number"],
  ["cpu_ms", "CPU", "number wide"], ["memory", "Peak memory", "number"],
];
let limit = ROWS_AT_ONCE;
const haystacks = data.rows.map((row) => [row.name, row.reason, row.outcome, row.stdout, row.stderr].join("\n").toLowerCase());
const outcomes = {
  passed: (row) => row.class === "passed",
  failed: (row) => !["passed", "skipped"].includes(row.class),
  trapped: (row) => row.outcome === "trapped",
  limit: (row) => row.class === "limit",
  crashed: (row) => row.class === "crashed",
  error: (row) => row.class === "error",
  skipped: (row) => row.class === "skipped",
  flaky: (row) => row.class === "passed" && row.attempt > 1,
  retried: (row) => row.retried,
};
function matches(row, index) {
  if (state.outcome && outcomes[state.outcome] && !outcomes[state.outcome](row)) return false;
  if (state.attempt === "last" && row.retried) return false;
  if (state.attempt === "first" && row.attempt > 1) return false;
  if (state.attempt === "further" && row.attempt < 2) return false;
  if (state.group !== "" && String(row.group) !== state.group) return false;
  if (state.code !== "" && String(row.code) !== state.code) return false;
  return state.text.toLowerCase().split(/\s+/).every((word) => haystacks[index].includes(word));
}
function sorted(indexes) {
  const down = state.sort.startsWith("-");
  const key = down ? state.sort.slice(1) : state.sort;
  if (!table.some((column) => column[0] === key)) return indexes;
  const order = (a, b) => {
    const [one, other] = [data.rows[a][key], data.rows[b][key]];
    if (one === null || other === null) return (one === null) - (other === null);
    const less = typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
    return (down ? -less : less) || a - b;
  };
  return indexes.sort(order);
}
function detail(row) {
  const facts = [
    ["Outcome", row.outcome], ["Exit code", row.code], ["Attempt", row.attempt || "none"], ["Slot", row.slot ?? "none"],
    ["Start", time(row.start_ms)], ["Waited for a worker", time(row.wait_ms)], ["Duration", time(row.wall_ms)], ["CPU time", time(row.cpu_ms)],
    ["Peak memory", bytes(row.memory)], ["Process", row.pid ?? "none"], ["Task", data.groups[row.group].name], ["Module", data.groups[row.group].module ?? "unknown"],
  ];
  const cell = el("td", { colspan: table.length }, el("dl", {}, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))))));
  for (const [name, text] of [["Reason", row.reason], ["Last lines of stdout", row.stdout], ["Last lines of stderr", row.stderr]]) {
    if (text) cell.append(el("h3", {}, name), el("pre", { tabindex: "0" }, text));
  }
  return el("tr", { class: "detail" }, cell);
}
function line(index) {
  const row = data.rows[index];
  const chosen = state.task === String(index);
  const button = el("button", { type: "button", "aria-expanded": String(chosen) }, row.name);
  button.addEventListener("click", () => go({ task: chosen ? "" : String(index) }));
  const name = el("td", { class: "name" }, button);
  if (row.reason) name.append(el("div", { class: "reason" }, row.reason));
  const cells = [
    el("td", { class: "number wide" }, row.seq === null ? "–" : String(row.seq)), name,
    el("td", {}, el("span", { class: `badge ${row.class}` }, swatch(row.class), el("span", {}, `${words[row.class]}${row.code ? ` ${row.code}` : ""}`))),
    el("td", { class: "number wide" }, row.attempt ? `${row.attempt}${row.retried ? " ↻" : ""}` : "–"),
    el("td", { class: "number wide" }, time(row.start_ms)), el("td", { class: "number wide" }, time(row.wait_ms)),
    el("td", { class: "number" }, time(row.wall_ms)), el("td", { class: "number wide" }, time(row.cpu_ms)), el("td", { class: "number" }, bytes(row.memory)),
  ];
  return el("tr", { class: chosen ? "row chosen" : "row", "data-class": row.class, "data-seq": row.seq ?? "" }, ...cells);
}
function show() {
  const found = sorted(data.rows.map((_, index) => index).filter((index) => matches(data.rows[index], index)));
  if (state.task !== "" && found.indexOf(Number(state.task)) >= limit) limit = found.indexOf(Number(state.task)) + 1;
  const body = $("rows");
  body.textContent = "";
  for (const index of found.slice(0, limit)) {
    body.append(line(index));
    if (state.task === String(index)) body.append(detail(data.rows[index]));
  }
  if (found.length === 0) body.append(el("tr", {}, el("td", { colspan: table.length, class: "note" }, "No attempt is like that.")));
  const attempts = data.attempts;
  const sample = attempts.shown < attempts.total
    ? ` The page has ${count(attempts.shown)} of ${plural(attempts.total, "attempt")}: ${attempts.all_failures_shown ? "all" : "the first"} that did not succeed, the slowest, those that were tried again, and a spread of the rest.`
    : "";
  const code = state.code ? ` with code ${state.code}` : "";
  $("count").textContent = `${plural(found.length, "attempt")}${code}${found.length < data.rows.length ? ` of ${count(data.rows.length)}` : ""}.${sample}`;
  $("count").dataset.found = found.length;
  $("more").hidden = found.length <= limit;
  $("more").textContent = `Show more (${count(found.length - limit)} left)`;
  for (const [id, key] of [["text", "text"], ["outcome", "outcome"], ["attempt", "attempt"], ["group", "group"]]) {
    if ($(id).value !== state[key]) $(id).value = state[key];
  }
  for (const head of $("columns").children) {
    const key = head.dataset.key;
    if (state.sort === key) head.setAttribute("aria-sort", "ascending");
    else if (state.sort === `-${key}`) head.setAttribute("aria-sort", "descending");
    else head.removeAttribute("aria-sort");
    head.firstChild.textContent = head.dataset.name + (state.sort === key ? " ↑" : state.sort === `-${key}` ? " ↓" : "");
  }
  for (const group of document.querySelectorAll(".task.chosen")) group.classList.remove("chosen");
  const chosen = state.task !== "" && document.querySelector(`.task[data-index="${Number(state.task)}"]`);
  if (chosen) chosen.classList.add("chosen");
}
function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(state)) state[key] = given.get(key) || "";
  if (!(state.outcome in outcomes)) state.outcome = "";
}
function go(change) {
  Object.assign(state, change);
  const given = new URLSearchParams(Object.entries(state).filter(([, value]) => value !== ""));
  history.replaceState(null, "", `#${given}`);
  show();
}
function option(value, text) { return el("option", { value }, text); }
function controls() {
  const total = (test) => data.rows.filter(test).length;
  $("outcome").append(option("", "All"));
  const names = { passed: "Passed", failed: "Failed, all kinds", trapped: "Trapped", limit: "Limit met", crashed: "Worker died", error: "Not set up", skipped: "Not run", flaky: "Flaky: passed after a retry", retried: "Tried again" };
  for (const [key, test] of Object.entries(outcomes)) {
    const n = total(test);
    if (n > 0 || key === "failed" || key === "passed") $("outcome").append(option(key, `${names[key]} (${count(n)})`));
  }
  for (const [value, text] of [["", "All"], ["last", "Last only"], ["first", "First only"], ["further", "Second and later"]]) $("attempt").append(option(value, text));
  $("group").append(option("", "All"));
  data.groups.forEach((group, index) => { if (group.attempts > 0) $("group").append(option(String(index), `${group.name} (${count(group.attempts)})`)); });
  if ($("group").children.length <= 2) $("group-label").hidden = true;
  for (const [key, name, kind] of table) {
    const button = el("button", { type: "button" }, name);
    button.addEventListener("click", () => { limit = ROWS_AT_ONCE; go({ sort: state.sort === `-${key}` ? "" : state.sort === key ? `-${key}` : key }); });
    $("columns").append(el("th", { scope: "col", class: kind, "data-key": key, "data-name": name }, button));
  }
  const change = (key) => (event) => { limit = ROWS_AT_ONCE; go({ [key]: event.target.value }); };
  for (const [id, on] of [["text", "input"], ["outcome", "change"], ["attempt", "change"], ["group", "change"]]) $(id).addEventListener(on, change(id));
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("clear").addEventListener("click", () => go(Object.fromEntries(Object.keys(state).map((key) => [key, ""]))));
  $("more").addEventListener("click", () => { limit += 5 * ROWS_AT_ONCE; show(); });
  addEventListener("hashchange", () => { limit = ROWS_AT_ONCE; read(); show(); $("tasks-heading").scrollIntoView(); });
  $("timeline").addEventListener("mousemove", tip);
  $("timeline").addEventListener("mouseleave", () => { $("tip").hidden = true; });
  $("timeline").addEventListener("click", (event) => {
    const group = event.target.closest(".task");
    if (!group) return;
    limit = ROWS_AT_ONCE;
    go({ text: "", outcome: "", attempt: "", group: "", code: "", task: group.dataset.index });
    const row = document.querySelector("tr.chosen");
    if (row) row.scrollIntoView({ block: "center" });
  });
}
function pictures() {
  for (const id of ["timeline", "legend", "times", "memory"]) $(id).textContent = "";
  timeline();
  histogram("times", data.times, "durations", (us) => time(us / 1e3), "No task ran.");
  histogram("memory", data.memory, "peak memory", bytes, "Not measured: workers lived on after their tasks, or nothing ran.");
}
head();
codes();
controls();
pictures();
read();
show();
let drawn = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === drawn) return;
  drawn = innerWidth;
  pictures();
  show();
});
