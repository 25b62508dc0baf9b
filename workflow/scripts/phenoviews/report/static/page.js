"use strict";
// What the pages can do beyond being read: a theme, tables that sort and filter, the runs behind a number, the list of
// runs, the curves of one or two, and the views of an audit. Without a server nothing can be fetched, so data come as scripts that call `give`.
const phenoviews = (() => {
  const up = document.documentElement.dataset.up;
  const given = new Map(), waiting = new Map();

  function give(name, data) {
    given.set(name, data);
  }

  function load(name) {
    if (!waiting.has(name)) {
      waiting.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = up + name;
        script.onload = () => resolve(given.get(name));
        script.onerror = () => reject(new Error(`${name} is missing: make the page again`));
        document.head.append(script);
      }));
    }
    return waiting.get(name);
  }

  // An element with attributes and children; text stays text.
  function element(name, attributes = {}, ...children) {
    const svg = ["svg", "path", "circle", "line", "text", "title"].includes(name);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined).map((child) => child instanceof Node ? child : String(child)));
    return made;
  }

  function number(value, digits = 4) {
    return value === null || value === undefined ? "—" : String(Number(value.toPrecision(digits)));
  }

  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "—";
    if (seconds < 120) return `${number(seconds, 3)} s`;
    return seconds < 7200 ? `${number(seconds / 60, 3)} min` : `${number(seconds / 3600, 3)} h`;
  }

  function row(cell, ...cells) {
    return element("tr", {}, element("th", {scope: "row"}, cell), ...cells);
  }

  function told(problem) {
    return element("p", {class: "note", role: "alert"}, problem.message);
  }

  // ------------------------------------------------------------------------------------------------------------ theme
  const THEMES = {"": "as the system", light: "light", dark: "dark"};

  function stored(value) {
    try {
      if (value !== undefined) localStorage.setItem("phenoviews-theme", value);
      return localStorage.getItem("phenoviews-theme") || "";
    } catch {
      return value || ""; // a browser that stores nothing for files
    }
  }

  function theme(name) {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
  }

  theme(stored());

  function themeButton() {
    const button = document.getElementById("theme"), names = Object.keys(THEMES);
    let current = names.includes(stored()) ? stored() : "";
    const show = () => { button.textContent = `Theme: ${THEMES[current]}`; };
    button.hidden = false;
    show();
    button.addEventListener("click", () => {
      current = names[(names.indexOf(current) + 1) % names.length];
      stored(current);
      theme(current);
      show();
    });
  }

  // ----------------------------------------------------------------------------------------------- sorting, filtering
  function compare(first, second, kind, down) {
    const none = (value) => value === null || value === undefined || value === "" || Number.isNaN(value);
    if (none(first) || none(second)) return none(first) - none(second); // last in either direction
    const order = kind === "number" ? first - second : String(first).localeCompare(String(second), "en", {numeric: true});
    return down ? -order : order;
  }

  // Buttons in the heads; `sort(column, kind, down)` does it.
  function sortable(heads, sort) {
    for (const [column, head] of heads.entries()) {
      if (!head.dataset.sort) continue;
      const button = element("button", {type: "button"}, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(column, head.dataset.sort, down);
      });
    }
  }

  function sortTable(table) {
    const body = table.tBodies[0];
    const value = (line, column, kind) => {
      const cell = line.cells[column], text = cell.dataset.value ?? cell.textContent.trim();
      return kind === "number" ? (text === "" ? NaN : Number(text)) : text;
    };
    sortable([...table.tHead.rows[0].cells], (column, kind, down) => {
      const lines = [...body.rows];
      lines.sort((a, b) => compare(value(a, column, kind), value(b, column, kind), kind, down));
      body.append(...lines);
    });
  }

  function filterTable(form) {
    const lines = [...document.getElementById(form.dataset.for).tBodies[0].rows];
    const output = form.querySelector("output"), word = output.textContent.split(" ").pop();
    const update = () => {
      const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = [...form.querySelectorAll("select")].filter((one) => one.value);
      let shown = 0;
      for (const line of lines) {
        const text = line.textContent.toLowerCase();
        line.hidden = !(words.every((one) => text.includes(one)) && chosen.every((one) => line.dataset[one.name] === one.value));
        shown += !line.hidden;
      }
      output.textContent = shown === lines.length ? `${shown} ${word}` : `${shown} of ${lines.length} ${word}`;
    };
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  // ----------------------------------------------------------------------------------------------- behind a number
  function behindNumbers(table) {
    const dialog = document.getElementById("behind");
    table.addEventListener("click", async (event) => {
      const button = event.target.closest("button[data-line]");
      if (!button) return;
      const heading = button.textContent.replace(/\s+/g, " ");
      try {
        const data = await load(table.dataset.script);
        dialog.replaceChildren(...behind(data, data.lines[button.dataset.line], heading));
      } catch (problem) {
        dialog.replaceChildren(element("h2", {id: "behind-title"}, heading), told(problem));
      }
      const close = element("button", {type: "button"}, "Close");
      close.addEventListener("click", () => dialog.close());
      dialog.append(close);
      dialog.showModal();
    });
  }

  function behind(data, line, heading) {
    const unit = line.unit ? ` ${line.unit}` : "";
    const facts = [
      line.of_sweep ? "Of all trainings of a sweep together." : `${line.n} of ${line.asked} run${line.asked === 1 ? "" : "s"} with a number.`,
      line.sd === null ? "" : `Mean ${number(line.mean)}${unit}, sample standard deviation ${number(line.sd, 3)}${unit}.`,
      line.published === null ? "" : `Published: ${number(line.published)}${unit}; ours is ${number(line.difference, 3)}${unit} away from it.`,
      line.missing ? `Missing: ${line.missing}.` : "",
    ];
    const runs = line.runs.map((place) => data.runs[place]);
    const lines = runs.map((run) => row(
      element("a", {href: `${up}run.html#${run.group}.${run.seed}`}, run.name),
      element("td", {class: "number"}, line.of_sweep ? "" : number(line.values[run.seed] ?? null)),
      element("td", {class: run.failed ? "failed" : null}, run.state),
      element("td", {}, run.device ?? "—"),
      element("td", {class: "number"}, duration(run.seconds)),
      element("td", {}, run.commit ? element("code", {}, run.commit) : "not recorded"),
      element("td", {}, run.overrides || "—"),
    ));
    return [
      element("h2", {id: "behind-title"}, `${line.metric}: ${heading}`),
      element("p", {}, facts.filter(Boolean).join(" ")),
      runs.length ? element("div", {class: "wide", role: "region", "aria-label": "Runs", tabindex: "0"}, element("table", {},
        head(["Run", ["Value", "number"], "State", "Device", ["Training", "number"], "Commit", "Settings changed"]),
        element("tbody", {}, ...lines))) : element("p", {}, "No runs: the paper quotes it from cited work."),
    ];
  }

  function head(titles) {
    return element("thead", {}, element("tr", {}, ...titles.map((title) => {
      const [text, kind] = Array.isArray(title) ? title : [title, null];
      return element("th", {scope: "col", class: kind}, text);
    })));
  }

  // --------------------------------------------------------------------------------------------------- list of runs
  const LIST = [
    ["dataset", "Data set", "text"], ["transform", "Transform", "text"], ["method", "Method", "text"], ["backbone", "Backbone", "text"],
    ["seed", "Seed", "number"], ["state", "State", "text"], ["epochs", "Epochs", "number"], ["loss", "Last loss", "number"],
    ["images_per_s", "Images/s", "number"], ["seconds", "Training", "number"], ["device", "Device", "text"],
  ];
  const STEP = 100;

  async function list() {
    const table = document.getElementById("runs"), form = document.getElementById("find"), more = document.getElementById("more");
    let data;
    try {
      data = await load("data/runs.js");
    } catch (problem) {
      table.replaceWith(told(problem));
      return;
    }
    const place = Object.fromEntries(data.columns.map((name, at) => [name, at]));
    const panel = new URLSearchParams(location.hash.slice(1)).get("panel");
    const only = panel ? new Set(data.panels[panel] ?? []) : null;
    const all = data.rows.filter((run) => !only || only.has(run[place.group]));
    const texts = new Map(all.map((run) => [run, LIST.map(([name]) => run[place[name]]).join(" ").toLowerCase()]));
    const ticked = new Map();
    let rows = all, limit = STEP, order = null;

    const titles = [element("th", {scope: "col"}, "Compare")];
    titles.push(...LIST.map(([, title, kind]) => element("th", {scope: "col", class: kind === "number" ? "number" : null, "data-sort": kind}, title)));
    table.tHead.replaceChildren(element("tr", {}, ...titles));

    function line(run) {
      const id = `${run[place.group]}.${run[place.seed]}`;
      const name = ["dataset", "transform", "method", "backbone", "seed"].map((key) => run[place[key]]).join("/");
      const box = element("input", {type: "checkbox", "aria-label": `Compare ${name}`});
      box.checked = ticked.has(id);
      box.addEventListener("change", () => tick(id, box));
      const cells = LIST.map(([key, , kind], at) => {
        const value = run[place[key]];
        if (at === 0) return element("th", {scope: "row"}, element("a", {href: `run.html#${id}`}, value));
        const text = key === "seconds" ? duration(value) : key === "seed" || key === "epochs" ? value : kind === "number" ? number(value) : value ?? "—";
        return element("td", {class: key === "state" && run[place.failed] ? "failed" : kind === "number" ? "number" : null}, text);
      });
      return element("tr", {}, element("td", {}, box), ...cells);
    }

    function tick(id, box) {
      if (box.checked) ticked.set(id, box);
      else ticked.delete(id);
      if (ticked.size > 2) {
        const [first, old] = ticked.entries().next().value;
        old.checked = false;
        ticked.delete(first);
      }
      const link = document.getElementById("compare");
      link.hidden = ticked.size !== 2;
      link.href = `run.html#${[...ticked.keys()].join(",")}`;
    }

    function show() {
      table.tBodies[0].replaceChildren(...rows.slice(0, limit).map(line));
      more.hidden = rows.length <= limit;
      const of = panel ? ` of ${panel}` : "";
      form.querySelector("output").textContent = rows.length === all.length ? `${all.length} runs${of}` : `${rows.length} of ${all.length} runs${of}`;
    }

    function update() {
      const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean), state = form.elements.state.value;
      rows = all.filter((run) => words.every((word) => texts.get(run).includes(word)) && (!state
        || (state === "failed" ? run[place.failed] : state === "not" ? run[place.state].startsWith("not t") : run[place.state] === state)));
      if (order) rows.sort(order);
      limit = STEP;
      show();
    }

    sortable([...table.tHead.rows[0].cells], (column, kind, down) => {
      const at = place[LIST[column - 1][0]];
      order = (a, b) => compare(a[at], b[at], kind, down);
      rows = [...rows].sort(order);
      show();
    });
    more.addEventListener("click", () => { limit += STEP; show(); });
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", () => location.reload());
    show();
  }

  // -------------------------------------------------------------------------------------------------- one run, or two
  async function run() {
    const place = document.getElementById("run"), curves = JSON.parse(document.getElementById("curves").textContent);
    addEventListener("hashchange", () => location.reload());
    const asked = location.hash.slice(1).split(",").filter(Boolean).slice(0, 2).map((one) => one.split("."));
    if (!asked.length) {
      place.append(element("p", {}, "Choose a run in the ", element("a", {href: "runs.html"}, "list of runs"), "."));
      return;
    }
    try {
      const groups = await Promise.all(asked.map(([group]) => load(`data/runs/${group}.js`)));
      const shown = asked.map(([, seed], at) => ({group: groups[at], seed, ...groups[at].runs[seed]}));
      document.querySelector("h1").textContent = shown.map((one) => one.name).join(" beside ");
      place.append(facts(shown), ...charts(shown, curves), ...shown.map(views).filter(Boolean), settings(shown), ...shown.map(panels));
    } catch (problem) {
      place.append(told(problem));
    }
  }

  const KINDS = ["first", "second"];

  function facts(shown) {
    const lines = {
      "Data set": (one) => one.group.labels.dataset, Transform: (one) => one.group.labels.transform,
      Method: (one) => one.group.labels.method, Backbone: (one) => one.group.labels.backbone, Seed: (one) => one.seed,
      State: (one) => one.remedy ? `${one.state}; ${one.remedy}` : one.state, Device: (one) => one.device ?? "—", Precision: (one) => one.precision ?? "—",
      Training: (one) => duration(one.seconds), "Images per second": (one) => number(one.images_per_s), Commit: (one) => one.commit ?? "not recorded",
      Folder: (one) => one.folder,
    };
    const heads = shown.length > 1 ? [element("thead", {}, element("tr", {}, element("td", {}),
      ...shown.map((one, at) => element("th", {scope: "col"}, element("span", {class: `key ${KINDS[at]}`}), at ? "second" : "first"))))] : [];
    return element("table", {}, element("caption", {class: "hidden"}, "The run"), ...heads, element("tbody", {}, ...Object.entries(lines).map(([title, text]) => row(title, ...shown.map((one) => element("td", {class: title === "State" && one.failed ? "failed" : null}, text(one)))))));
  }

  function charts(shown, curves) {
    const drawn = Object.entries(curves).filter(([key]) => shown.some((one) => one.history[key])).map(([key, [title, unit]]) => chart(shown, key, title, unit));
    if (!drawn.length) return [element("p", {}, "Nothing was trained, so there are no curves.")];
    const others = shown.some((one) => Object.keys(one.group.runs).length > 1) ? " Thin: the other seeds." : "";
    return [element("h2", {}, "Curves"), element("p", {}, `By epoch.${others}`), element("div", {class: "charts"}, ...drawn)];
  }

  function chart(shown, key, title, unit) {
    const W = 360, H = 210, L = 52, R = 10, T = 12, B = 34;
    const lines = [];
    shown.forEach((one, at) => {
      for (const [seed, other] of Object.entries(one.group.runs)) {
        if (seed !== one.seed && other.history[key]) lines.push({run: other, kind: "others"});
      }
      if (one.history[key]) lines.push({run: one, kind: KINDS[at]});
    });
    const points = lines.flatMap(({run}) => run.history[key].map((y, at) => [run.history.epoch[at], y]).filter(([, y]) => y !== null));
    const x1 = Math.max(1, ...points.map(([x]) => x));
    let y0 = Math.min(...points.map(([, y]) => y)), y1 = Math.max(...points.map(([, y]) => y));
    if (y0 === y1) { y0 -= Math.abs(y0) * 0.1 || 1; y1 += Math.abs(y1) * 0.1 || 1; }
    const X = (x) => L + (W - L - R) * x / x1, Y = (y) => H - B - (H - B - T) * (y - y0) / (y1 - y0);
    const summary = shown.filter((one) => one.history[key]).map((one) => {
      const values = one.history[key].map((y, at) => [one.history.epoch[at], y]).filter(([, y]) => y !== null);
      const [[first, from], [last, to]] = [values[0], values.at(-1)];
      return `${one.name}: from ${number(from)} in epoch ${first} to ${number(to)} in epoch ${last}`;
    }).join("; ");
    const svg = element("svg", {viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${title}. ${summary}`});
    svg.append(element("path", {class: "axis", d: `M${L} ${T}V${H - B}H${W - R}`}));
    for (const part of [0, 0.5, 1]) {
      const y = y0 + (y1 - y0) * part, x = Math.round(x1 * part);
      svg.append(element("text", {x: L - 6, y: Y(y) + 4, "text-anchor": "end"}, number(y, 3)));
      if (part !== 0.5 || x1 > 1) svg.append(element("text", {x: X(x), y: H - B + 16, "text-anchor": "middle"}, x));
    }
    svg.append(element("text", {x: (L + W - R) / 2, y: H - 4, "text-anchor": "middle"}, "epoch"));
    for (const {run, kind} of lines) {
      let d = "";
      run.history[key].forEach((y, at) => { if (y !== null) d += `${d ? "L" : "M"}${X(run.history.epoch[at]).toFixed(1)} ${Y(y).toFixed(1)}`; });
      svg.append(element("path", {class: kind, d}));
      if (run.history[key].filter((y) => y !== null).length <= 40) run.history[key].forEach((y, at) => {
        if (y !== null) svg.append(element("circle", {class: kind, cx: X(run.history.epoch[at]), cy: Y(y), r: kind === "others" ? 1.5 : 3}, element("title", {}, `${run.name}, epoch ${run.history.epoch[at]}: ${number(y)}`)));
      });
      if (run.failed_in !== null) {
        const x = X(Math.min(run.failed_in, x1));
        svg.append(element("line", {class: "end", x1: x, x2: x, y1: T, y2: H - B}));
        svg.append(element("text", {class: "end-text", x: x - 4, y: T + 8, "text-anchor": "end"}, run.state.split(" in epoch")[0]));
      }
    }
    return element("figure", {}, element("figcaption", {}, title + (unit ? ` (${unit})` : "")), svg, numbersOf(shown, key, title));
  }

  function numbersOf(shown, key, title) {
    const lines = shown.filter((one) => one.history[key]);
    const epochs = [...new Set(lines.flatMap((one) => one.history.epoch))].sort((a, b) => a - b);
    return element("details", {}, element("summary", {}, "Numbers"), element("table", {},
      element("caption", {class: "hidden"}, `${title} by epoch`),
      head(["Epoch", ...lines.map((one) => [one.name, "number"])]),
      element("tbody", {}, ...epochs.map((epoch) => row(epoch, ...lines.map((one) => {
        const at = one.history.epoch.indexOf(epoch);
        return element("td", {class: "number"}, at < 0 ? "—" : number(one.history[key][at], 6));
      }))))));
  }

  function views(one) {
    if (!one.group.views.length) return null;
    return element("section", {class: "views", "aria-label": `Views of ${one.name}`},
      element("h2", {}, `What ${one.group.labels.transform} makes of eight images`),
      ...one.group.views.map(({label, file}) => element("figure", {}, element("figcaption", {}, label),
        element("img", {src: file, alt: `${label}: eight images of ${one.group.labels.dataset}`}))));
  }

  function settings(shown) {
    const keys = [...new Set(shown.flatMap((one) => Object.keys(one.settings)))];
    if (!keys.length) return element("p", {}, "");
    const lines = keys.map((key) => {
      const values = shown.map((one) => one.settings[key] ?? "—"), differs = new Set(values).size > 1;
      return element("tr", {class: differs ? "changed" : null}, element("th", {scope: "row"}, key), ...values.map((value) => element("td", {}, value)));
    });
    return element("section", {}, element("h2", {}, "Settings"), shown.length > 1 ? element("p", {}, "Those that differ are marked.") : null,
      element("div", {class: "wide", role: "region", "aria-label": "Settings", tabindex: "0"}, element("table", {class: "settings"},
        head(["Setting", ...shown.map((one) => one.name)]), element("tbody", {}, ...lines))));
  }

  function panels(one) {
    return element("section", {}, element("h2", {}, `Panels that show ${one.name}`), element("ul", {},
      ...one.group.panels.map(({name, title}) => element("li", {}, element("a", {href: `panels/${name}.html`}, `${name}: ${title}`)))));
  }

  // ------------------------------------------------------------------------------------------------------------- audits
  // The strength of a part of a set: its views of the same images.
  function strength(slider) {
    const levels = JSON.parse(slider.dataset.levels), view = document.getElementById(slider.dataset.view);
    const output = slider.parentElement.querySelector("output"), label = slider.parentElement.querySelector("label").textContent;
    slider.addEventListener("input", () => {
      const level = levels[Number(slider.value)];
      slider.setAttribute("aria-valuetext", level.said);
      output.textContent = level.said;
      view.src = up + level.file;
      view.alt = `The same eight images under the set, ${label} ${level.said}`;
    });
  }

  function copyButton(button) {
    const from = document.getElementById(button.dataset.copy), output = button.parentElement.querySelector("output");
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(from.textContent);
        output.textContent = "Copied; paste it into your configuration.";
      } catch { // a browser that lets no file write there
        getSelection().selectAllChildren(from);
        output.textContent = "Selected; press Ctrl+C, or ⌘C, to copy it.";
      }
    });
  }

  // ------------------------------------------------------------------------------------------------------------- begin
  addEventListener("DOMContentLoaded", () => {
    themeButton();
    document.querySelectorAll("table.sortable").forEach(sortTable);
    document.querySelectorAll("form.filter[data-for]").forEach(filterTable);
    document.querySelectorAll("table[data-script]").forEach(behindNumbers);
    document.querySelectorAll("input[data-levels]").forEach(strength);
    document.querySelectorAll("button[data-copy]").forEach(copyButton);
  });
  return {give, list, run};
})();
