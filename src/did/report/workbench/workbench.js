"use strict";
// Nothing is estimated here: every number is one of the data's, found by the values of its dimensions.
(() => {
  const element = name => document.getElementById(name);
  const data = JSON.parse(element("workbench-data").textContent);
  const dimensions = data.dimensions, inference = dimensions.length - 1, n = data.estimate.length;
  const names = dimensions.map(each => each.name);
  const codes = dimensions.map(each => {
    const first = each.values.length <= 26 ? 65 : 0xC0;
    return Uint16Array.from(data.rows[each.name], letter => letter.charCodeAt(0) - first);
  });
  const together = data.together.map(name => names.indexOf(name));
  const keyOf = (choice, without) => choice.filter((_, at) => at !== without).join();
  const rowOf = new Map(), runs = new Map();   // rows by choice; and by choice whatever the interval is by
  const runsOf = dimensions[0].values.map(() => []);   // the latter, of each outcome
  const choiceOf = row => codes.map(column => column[row]);
  for (let row = 0; row < n; row++) {
    const choice = choiceOf(row), key = keyOf(choice, inference);
    rowOf.set(keyOf(choice), row);
    if (!runs.has(key)) {
      runs.set(key, []);
      runsOf[choice[0]].push(runs.get(key));
    }
    runs.get(key).push(row);
  }
  const fact = (row, field) => data.facts[data.fact[row]][data.fields.indexOf(field)];
  const label = (at, value) => dimensions[at].labels[value];
  const same = (a, b) => together.every(at => a[at] === b[at]);
  // What the page returns to: the first of an outcome; of an outcome and treatment, where there is one.
  const reported = data.reported.map(choiceOf);
  const first = outcome => reported.find(each => each[0] === outcome).slice();
  const home = choice => (reported.find(each => same(each, choice)) ?? first(choice[0])).slice();
  const unitOf = choice => {
    const own = data.units.find(each => together.every((at, place) => each[place] === dimensions[at].values[choice[at]]));
    return own ? own.slice(together.length) : ["", 2];
  };
  const number = (value, decimals, signed) => {
    const text = Math.abs(value).toLocaleString("en-GB", {minimumFractionDigits: decimals, maximumFractionDigits: decimals});
    if (!/[1-9]/.test(text)) return text;
    return value < 0 ? `\u2212${text}` : signed ? `+${text}` : text;
  };
  const show = (name, text) => { element(name).textContent = text; };

  // The choice -------------------------------------------------------------------------------------------------
  let chosen = reported[0].slice();
  // Values by dimension among the choices that have the same values of the ``fixed`` ones.
  const offered = (choice, fixed) => {
    const seen = dimensions.map(each => new Uint8Array(each.values.length));
    for (const [first, ...others] of runsOf[choice[0]]) {
      if (!fixed.every(at => codes[at][first] === choice[at])) continue;
      for (let at = 0; at < inference; at++) seen[at][codes[at][first]] = 1;
      for (const row of [first, ...others]) seen[inference][codes[inference][row]] = 1;
    }
    return seen.map(flags => new Set([...flags.keys()].filter(value => flags[value])));
  };
  const estimator = names.indexOf("estimator");
  const estimators = estimator > 0 ? [0, estimator] : [0];
  const settle = () => {   // what the outcome, or the estimator, does not have is as reported
    for (const fixed of [[0], estimators]) {
      const there = offered(chosen, fixed), back = home(chosen);
      there.forEach((values, at) => {
        if (at === inference || fixed.includes(at)) return;
        if (!values.has(chosen[at])) chosen[at] = values.has(back[at]) ? back[at] : Math.min(...values);
        else if (values.size === 1) chosen[at] = [...values][0];
      });
    }
  };
  // The row of a choice: by the method wanted, else by the first that was run; and whether it is the one wanted.
  const found = choice => {
    const rows = runs.get(keyOf(choice, inference));
    if (!rows) return null;
    const wanted = rowOf.get(keyOf(choice));
    return {row: wanted ?? rows[0], wanted: wanted !== undefined};
  };
  const nearest = choice => {
    const weight = at => at === estimator ? 3 : together.includes(at) ? 5 : 1;
    const all = [];
    for (const rows of runsOf[choice[0]]) {
      const other = choiceOf(rows[0]);
      let far = 0;
      for (let at = 1; at < inference; at++) if (other[at] !== choice[at]) far += weight(at);
      all.push([far, other]);
    }
    return all.sort((a, b) => a[0] - b[0]).slice(0, 3).map(pair => {
      pair[1][inference] = choice[inference];
      return pair[1];
    });
  };

  // The controls -----------------------------------------------------------------------------------------------
  const inputs = at => document.querySelectorAll(`[name="${names[at]}"]`);
  const controls = () => {
    const there = offered(chosen, [0]), served = offered(chosen, estimators);
    dimensions.forEach((each, at) => {
      const [first] = inputs(at), values = at ? there[at] : new Set(each.values.keys());
      first.closest("[data-dimension]").hidden = values.size < 2;
      each.values.forEach((_, value) => {
        const other = chosen.slice();
        other[at] = value;
        const run = at === 0 || (at === inference ? rowOf.has(keyOf(other)) : runs.has(keyOf(other, inference)));
        const text = run ? label(at, value) : `${label(at, value)} (not run)`;
        if (first.tagName === "SELECT") {
          const option = first.options[value];
          option.hidden = !values.has(value);
          option.disabled = option.hidden || !(served[at].has(value) || estimators.includes(at) || at === inference);
          if (option.textContent !== text) option.textContent = text;
          option.selected = chosen[at] === value;
        } else {
          const input = inputs(at)[value];
          input.parentElement.hidden = !values.has(value);
          input.nextSibling.textContent = ` ${text}`;
          input.disabled = !(served[at].has(value) || estimators.includes(at) || at === inference);
          input.checked = chosen[at] === value;
        }
      });
    });
    for (const group of document.querySelectorAll("#choices > fieldset")) {
      group.hidden = ![...group.querySelectorAll("[data-dimension]")].some(each => !each.hidden);
    }
  };

  // The answer -------------------------------------------------------------------------------------------------
  const facts = row => {
    const count = field => fact(row, field) === null ? "not counted" : fact(row, field).toLocaleString("en-GB");
    const coverage = fact(row, "coverage"), draws = fact(row, "n_draws"), p = data.p_value[row];
    const measured = coverage === null ? "not measured for this choice" :
      `${(100 * coverage).toFixed(1)}%${draws ? ` of ${draws.toLocaleString("en-GB")} placebo assignments` : ""}, ` +
      (fact(row, "holds") ? "as it should be" : `not within the tolerance of ${100 * data.confidence}%`);
    const lines = [["Why", data.chance[fact(row, "chance")][1]], ["Units", count("n_units")], ["Treated units", count("n_treated")], ["Clusters", count("n_clusters")],
      ["Treated clusters", count("n_treated_clusters")], ["Observations", count("n_obs")],
      ["p-value", p === null ? "none" : p < 0.001 ? "< 0.001" : p.toFixed(3)],
      ["Interval by", fact(row, "method")], ["Its intervals hold a true zero in", measured]];
    element("facts").replaceChildren(...lines.map(([term, text], at) => {
      const box = document.createElement("div"), left = document.createElement("dt"), right = document.createElement("dd");
      [left.textContent, right.textContent] = [term, text];
      box.className = at === 0 ? "why" : at > 6 ? "wide" : "";
      box.append(left, right);
      return box;
    }));
  };
  const answer = shown => {
    element("missing").hidden = Boolean(shown);
    element("facts").hidden = !shown;
    const [unit, decimals] = unitOf(chosen);
    if (!shown) {
      show("estimate", "Not run");
      for (const name of ["unit", "interval", "chance"]) show(name, "");
      show("why", "This combination of choices was not run.");
      element("nearest").replaceChildren(...nearest(chosen).map(other => {
        const item = document.createElement("li"), button = document.createElement("button");
        const words = names.map((_, at) => at).filter(at => at !== inference && other[at] !== chosen[at])
          .map(at => `${dimensions[at].label}: ${label(at, other[at])}`);
        button.type = "button";
        button.textContent = words.join("; ");
        button.addEventListener("click", () => { chosen = other; update(true); });
        item.append(button);
        return item;
      }));
      show("said", "Not run. The nearest choices that were run are listed.");
      return;
    }
    const row = shown.row, [low, high] = [data.ci_low[row], data.ci_high[row]];
    const end = value => value === null ? "no end" : number(value, decimals);
    const [word, why] = data.chance[fact(row, "chance")];
    show("estimate", number(data.estimate[row], decimals, true));
    show("unit", unit);
    show("interval", low === null && high === null ? "No interval" : `${100 * data.confidence}% interval ${end(low)} to ` +
      `${end(high)}${shown.wanted ? "" : `. By ${fact(row, "method")}: the interval chosen was not made for this choice.`}`);
    show("chance", word);
    show("why", why);
    show("said", `${element("estimate").textContent} ${unit}. ${element("interval").textContent}. ${word}`);
    facts(row);
  };

  // Its place ---------------------------------------------------------------------------------------------------
  const others = choice => {
    const rows = [];
    for (const own of runsOf[choice[0]]) {
      const other = choiceOf(own[0]);
      if (!same(other, choice)) continue;
      other[inference] = choice[inference];
      rows.push(rowOf.get(keyOf(other)) ?? own[0]);
    }
    return rows.sort((a, b) => data.estimate[a] - data.estimate[b]);
  };
  const printedOf = choice => data.published.filter(each => together.every(at =>
    !(names[at] in each.of) || each.of[names[at]] === dimensions[at].values[choice[at]]));
  // What is drawn of all estimates stays until outcome, treatment, interval or width are others.
  const height = 230, floor = height - 34, top = 34, size = 3.2;
  let picture = {key: ""};
  const adding = svg => (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
  };
  const drawAll = (rows, width, key) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), add = adding(svg);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-labelledby", "place-heading place");
    const printed = printedOf(chosen);
    const values = [...rows.map(row => data.estimate[row]), ...printed.map(each => each.value), 0];
    const least = Math.min(...values), most = Math.max(...values), room = 0.05 * (most - least || 1);
    const x = value => 14 + (width - 28) * (value - least + room) / (most - least + 2 * room);
    const rough = (most - least || 1) / (width > 500 ? 8 : 4), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough);
    for (let tick = Math.ceil(least / step) * step; tick <= most + 1e-9; tick += step) {
      add("line", {x1: x(tick), x2: x(tick), y1: top, y2: floor, class: "tick"});
      add("text", {x: x(tick), y: height - 12, "text-anchor": "middle"},
        number(tick, Math.max(0, -Math.floor(Math.log10(step))), true));
    }
    add("line", {x1: x(0), x2: x(0), y1: top, y2: floor, class: "axis"});
    add("line", {x1: 0, x2: width, y1: floor, y2: floor, class: "axis"});
    const piles = new Map(), places = rows.map(row => {
      const bin = Math.round(x(data.estimate[row]) / (2 * size + 0.6));
      piles.set(bin, (piles.get(bin) ?? 0) + 1);
      return [row, bin, piles.get(bin)];
    });
    const gap = Math.min(2 * size, (floor - top - 6) / Math.max(...piles.values(), 1));
    const dots = new Map();
    for (const [row, bin, place] of places) {
      const [low, high] = [data.ci_low[row], data.ci_high[row]];
      const out = (low !== null && low > 0) || (high !== null && high < 0);
      const at = {cx: bin * (2 * size + 0.6), cy: floor - size - (place - 1) * gap};
      add("circle", {...at, r: size, class: out ? "dot out" : "dot"});
      dots.set(row, at);
    }
    for (const each of printed) {
      const at = x(each.value);
      add("path", {d: `M${at} ${floor - 9}l8 9l-8 9l-8 -9z`, class: "printed"});
    }
    element("picture").replaceChildren(svg);
    return {key, rows, svg, x, width, dots};
  };
  const draw = (here, decimals) => {
    const {svg, x, width, dots} = picture, add = adding(svg);
    for (const old of svg.querySelectorAll(".line, .here, .said")) old.remove();
    if (here === null) return;
    const at = x(data.estimate[here]);
    add("line", {x1: at, x2: at, y1: top - 6, y2: floor, class: "line"});
    add("circle", {...dots.get(here), cx: at, r: 6.5, class: "here"});
    add("text", {x: at, y: 18, "text-anchor": at < width / 2 ? "start" : "end", class: "said"},
      `This choice ${number(data.estimate[here], decimals, true)}`);
  };
  const place = shown => {
    const width = Math.max(280, Math.min(900, element("picture").clientWidth || 640));
    const key = [...together.map(at => chosen[at]), chosen[inference], width].join();
    if (picture.key !== key) picture = drawAll(others(chosen), width, key);
    const [, decimals] = unitOf(chosen), rows = picture.rows, count = rows.length;
    const value = at => number(data.estimate[rows[Math.min(count - 1, Math.floor(at * count))]], decimals, true);
    const words = [];
    if (shown) {
      const at = rows.indexOf(shown.row) + 1, sign = Math.sign(data.estimate[shown.row]);
      const kept = rows.filter(row => Math.sign(data.estimate[row]) === sign).length;
      words.push(`Number ${at.toLocaleString("en-GB")} of ${count.toLocaleString("en-GB")} from the lowest; ` +
        `${kept.toLocaleString("en-GB")} have its sign.`);
    }
    words.push(`They run from ${value(0)} to ${value(1)}, half of them from ${value(0.25)} to ${value(0.75)}.`);
    words.push("Each dot is one estimate, filled where the interval chosen, or else the first made, leaves out zero.");
    const printed = printedOf(chosen);
    if (printed.length) words.push(`Diamond: printed, ${printed.map(each => each.printed).join(" and ")}.`);
    show("place", words.join(" "));
    draw(shown ? shown.row : null, decimals);
  };

  // The address ------------------------------------------------------------------------------------------------
  const address = () => {
    const back = first(chosen[0]);
    const words = names.map((name, at) => [name, dimensions[at].values[chosen[at]], at])
      .filter(([, , at]) => at === 0 || chosen[at] !== back[at]);
    return `#${words.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&")}`;
  };
  const fromAddress = () => {
    const asked = new Map(location.hash.slice(1).split("&").map(part => part.split("=").map(word => {
      try { return decodeURIComponent(word); } catch { return word; }
    })));
    if (!names.some(name => asked.has(name))) return false;
    const value = at => dimensions[at].values.indexOf(asked.get(names[at]));
    chosen = first(Math.max(0, value(0)));
    names.forEach((_, at) => { if (value(at) >= 0) chosen[at] = value(at); });
    return true;
  };
  const update = moved => {
    settle();
    const shown = found(chosen);
    controls();
    answer(shown);
    place(shown);
    element("address").href = address();
    if (moved) history.replaceState(null, "", address());
  };
  element("choices").addEventListener("change", event => {
    chosen[names.indexOf(event.target.name)] = Number(event.target.value);
    update(true);
  });
  element("choices").addEventListener("submit", event => event.preventDefault());
  element("back").addEventListener("click", () => { chosen = home(chosen); update(true); });
  addEventListener("hashchange", () => { if (fromAddress()) update(false); });
  addEventListener("resize", () => place(found(chosen)));
  element("workbench").hidden = false;
  fromAddress();
  update(false);
})();
