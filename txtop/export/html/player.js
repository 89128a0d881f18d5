// Plays the recording that stands in the page. It computes no figure and asks for nothing: its
// numbers and words are those of #recording, and text is only ever set as text.
"use strict";
(() => {
  const recording = JSON.parse(document.getElementById("recording").textContent);
  const root = document.getElementById("player");
  const SVG = "http://www.w3.org/2000/svg";
  const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096];
  const PLAYS_IN_S = 25;
  const MOST_RESULTS = 200;
  const isAB = recording.ab.length > 0;

  function add(parent, tag, name = "", text = "") {
    const made = parent.appendChild(document.createElement(tag));
    if (name) made.className = name;
    made.textContent = text;
    return made;
  }

  function draw(parent, tag, attributes) {
    const made = parent.appendChild(document.createElementNS(SVG, tag));
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function plot(parent, name) {
    const box = add(parent, "div", `plot ${name}`);
    const scale = add(box, "span", "scale");
    const note = add(box, "span", "note");
    const svg = draw(box, "svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none" });
    return { svg, scale, note };
  }

  const format = (value) =>
    value >= 99.95 ? Number(value.toPrecision(3)).toLocaleString("en") : value.toPrecision(3);
  const clock = (s) =>
    `${String(Math.floor(s / 60)).padStart(2, "0")}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

  // The place after the last item that is not later than `t`.
  function count(items, t, time) {
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (time(items[middle]) <= t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const transport = add(root, "div", "transport");
  const button = add(transport, "button", "", "▸ play");
  button.type = "button";
  const slider = add(transport, "input");
  Object.assign(slider, { type: "range", min: 0, max: recording.end, step: "any" });
  slider.setAttribute("aria-label", "time in the session");
  const shownTime = add(transport, "span", "clock");
  const speed = add(transport, "select");
  speed.setAttribute("aria-label", "speed");
  const usual = SPEEDS.find((s) => s >= recording.end / PLAYS_IN_S) || SPEEDS.at(-1);
  for (const s of SPEEDS) add(speed, "option", "", `${s}x`).value = s;
  speed.value = usual;

  const strip = draw(root, "svg", {
    class: "strip", viewBox: `0 0 ${recording.end || 1} 10`, preserveAspectRatio: "none",
    role: "img", "aria-label": "when each cell loaded and was measured",
  });
  for (const part of ["loads", "measures"]) {
    for (const cell of recording.cells) {
      const [from, to] = part === "loads" ? [cell.from, cell.measured] : [cell.measured, cell.to];
      const name = cell.bad ? "failed" : part;
      draw(strip, "rect", { class: name, x: from, y: 0, width: Math.max(0, to - from), height: 10 });
    }
  }

  const claim = add(root, "p", "claim");
  const value = add(claim, "span", "value");
  const sentence = add(claim, "span");
  const remark = add(claim, "span");
  const facts = add(root, "p", "muted facts");

  const lanes = add(root, "div", isAB ? "lanes half" : "lanes");
  const most = Math.max(1e-9, ...recording.cells.flatMap((c) => c.points.map((p) => p[1])));
  function addLane(letter) {
    const box = add(lanes, "div", "lane");
    const name = add(box, "div", "name");
    const figure = add(box, "div", `figure ${letter === "A" || !isAB ? "arm-a" : "arm-b"}`);
    const chart = plot(box, "");
    return {
      name, figure, chart,
      warm: draw(chart.svg, "path", { class: "dots warm" }),
      counted: draw(chart.svg, "path", { class: letter && letter !== "A" ? "dots b" : "dots a" }),
    };
  }
  const shownLanes = (isAB ? recording.cells : [recording.cells[0]]).map((c) => addLane(c.letter));

  function showLane(lane, cell, t) {
    const n = count(cell.points, t, (p) => p[0]);
    const top = 1.1 * (isAB ? most : Math.max(1e-9, ...cell.points.map((p) => p[1])));
    const last = Math.max(1, cell.points.at(-1)?.[3] || 1);
    const paths = ["", ""];
    for (const [, v, counts, at] of cell.points.slice(0, n)) {
      paths[counts] += `M${(10 + (980 * at) / last).toFixed(1)} ${(100 - (100 * v) / top).toFixed(1)}h0`;
    }
    lane.warm.setAttribute("d", paths[0]);
    lane.counted.setAttribute("d", paths[1]);
    lane.chart.scale.textContent = `0 to ${format(top)} ${cell.unit}`;
    lane.chart.note.textContent = n ? `${cell.step} ${cell.points[n - 1][3]} of ${last}` : `no ${cell.step} yet`;
    lane.name.textContent = cell.letter ? `${cell.letter}  ${cell.name}` : cell.name;
    const over = t >= cell.to;
    lane.figure.classList.toggle("bad", over && cell.bad);
    const counts = over ? cell.certain : n > 0 && cell.points[n - 1][2] === 1;
    lane.figure.classList.toggle("muted", !counts);
    const busy = t < cell.from ? "waits" : n ? "" : "loads";
    const now = n ? `${format(cell.points[n - 1][1])} ${cell.unit}` : busy;
    lane.figure.textContent = over ? cell.result : now;
  }

  const funnels = recording.ab.filter((c) => c.looks.some((look) => look.ends)).map((comparison) => {
    const looks = comparison.looks.filter((look) => look.ends);
    const chart = plot(add(root, "div", "lane"), "funnel");
    const least = Math.min(0.95, ...looks.map((look) => look.ends[0]));
    const largest = Math.max(1.05, ...looks.map((look) => look.ends[1]));
    const y = (ratio) => 100 - (96 * (ratio - least)) / (largest - least) - 2;
    const band = [1 + comparison.margin, 1 / (1 + comparison.margin)].map(y);
    const height = Math.max(0.5, band[1] - band[0]);
    draw(chart.svg, "rect", { class: "band", x: 0, width: 1000, y: band[0], height });
    draw(chart.svg, "path", { class: "one", d: `M0 ${y(1)}H1000` });
    const ends = draw(chart.svg, "path", { class: "ends warm" });
    const counted = draw(chart.svg, "path", { class: "ends b" });
    chart.scale.textContent = `${least.toFixed(2)}x to ${largest.toFixed(2)}x`;
    chart.note.textContent = `${comparison.letter} over A after each ${comparison.unit}; the line is 1`;
    return { comparison, looks, y, ends, counted };
  });

  function showFunnel({ looks, y, ends, counted }, t) {
    const paths = { false: "", true: "" };
    looks.slice(0, count(looks, t, (look) => look.at)).forEach((look, i) => {
      const x = (1000 * (i + 0.5)) / looks.length;
      paths[look.counts] += `M${x} ${y(look.ends[0])}V${y(look.ends[1])}M${x - 4} ${y(look.ratio)}h8`;
    });
    ends.setAttribute("d", paths.false);
    counted.setAttribute("d", paths.true);
  }

  function showWords(words) {
    value.textContent = words.value;
    value.className = `value ${words.role}`;
    sentence.textContent = words.sentence;
    remark.textContent = words.remark ? ` ${words.remark}` : "";
    remark.className = words.remark_role;
    facts.textContent = words.facts.join(" · ");
  }

  const BEGIN = { value: "", role: "muted", sentence: "", remark: "", remark_role: "", facts: [] };
  const line = add(root, "p", "muted line");
  const results = isAB ? null : add(root, "ol", "results");
  const ended = [...recording.cells].sort((a, b) => a.to - b.to);

  function showVerdict(t) {
    const comparison = recording.ab[0];
    const n = count(comparison.looks, t, (look) => look.at);
    if (t >= recording.end) showWords(comparison.final);
    else if (n) showWords(comparison.looks[n - 1].words);
    else showWords({ ...BEGIN, sentence: "no block yet" });
  }

  function showGrid(t) {
    const started = recording.cells.filter((cell) => cell.from <= t);
    const cell = started.at(-1) || recording.cells[0];
    showLane(shownLanes[0], cell, t);
    const n = count(ended, t, (c) => c.to);
    const total = recording.cells.length;
    showWords({ ...BEGIN, sentence: `${n} of ${total} ${total === 1 ? "cell" : "cells"} done` });
    while (results.children.length > Math.min(n, MOST_RESULTS)) results.lastChild.remove();
    for (const one of ended.slice(results.children.length, Math.min(n, MOST_RESULTS))) {
      const row = add(results, "li");
      add(row, "span", "", one.name);
      add(row, "b", one.bad ? "bad" : "", one.result);
    }
  }

  let t = recording.end;
  let before = 0;
  let playing = false;

  function show() {
    slider.value = t;
    slider.setAttribute("aria-valuetext", clock(t));
    shownTime.textContent = `${clock(t)} / ${clock(recording.end)}`;
    if (isAB) {
      recording.cells.forEach((cell, i) => showLane(shownLanes[i], cell, t));
      funnels.forEach((funnel) => showFunnel(funnel, t));
      if (recording.ab.length) showVerdict(t);
    } else showGrid(t);
    const lines = count(recording.log, t, (entry) => entry[0]);
    const readings = count(recording.cpu, t, (entry) => entry[0]);
    const cpu = readings ? `CPU ${Math.round(recording.cpu[readings - 1][1])} % · ` : "";
    line.textContent = cpu + (lines ? recording.log[lines - 1][1] : "");
  }

  function setPlaying(on) {
    playing = on;
    button.textContent = on ? "‖ pause" : "▸ play";
    if (!on) return;
    if (t >= recording.end) t = 0;
    before = performance.now();
    requestAnimationFrame(step);
  }

  function step(now) {
    if (!playing) return;
    t = Math.min(recording.end, t + ((now - before) / 1000) * Number(speed.value));
    before = now;
    show();
    if (t >= recording.end) setPlaying(false);
    else requestAnimationFrame(step);
  }

  button.addEventListener("click", () => setPlaying(!playing));
  slider.addEventListener("input", () => {
    t = Number(slider.value);
    show();
  });
  document.getElementById("play").hidden = false;
  show();
})();
