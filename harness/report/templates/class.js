"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const VERDICTS = {  // letter: sign, meaning; in the order in which a column is sorted
    f: ["✗", "fails"], v: ["✗~", "fails, not in each round"], e: ["!", "could not be made"],
    b: ["·", "not made: another must hold first"], u: ["✓~", "holds, not in each round"], p: ["✓", "holds"], "-": ["", "was not made"],
  };
  const ORDER = Object.keys(VERDICTS).join("");
  const WHICH = {  // what may be shown; each asks one lab of a student
    all: ["everybody", () => true],
    review: ["to be decided", (mark) => mark.points === null],
    nothing: ["handed in nothing", (mark) => mark.state === "nothing"],
    failing: ["something fails", (mark) => /[fv]/.test(mark.verdicts || "")],
    holding: ["all checks hold", (mark) => /^[pu]+$/.test(mark.verdicts || "")],
    late: ["late", (mark) => mark.late > 0],
    hand: ["marked by hand", (mark) => mark.byHand],
    unstable: ["unstable verdicts", (mark) => /[uv]/.test(mark.verdicts || "")],
    noted: ["with notes", (mark, student) => mark.notes || student.notes],
    stranger: ["on no roster", (mark, student) => student.stranger],
  };
  const STATE = { review: "to be decided by a person", nothing: "nothing handed in" };
  const SPARE = 10;  // rows beyond what is seen
  const CELLS = 6000;  // a table with fewer is there as a whole, so that the browser's own search finds all of it
  const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  let lab = 0;  // place of the lab whose checks are shown; -1: only the marks
  let order = { id: "name", down: false };
  let causes = null;  // places of causes: who else is left out
  let rows = data.students;
  let columns = [];
  let height = 29;  // of a row, in pixels
  let drawn = [-1, -1];
  let whole = false;  // for a printer

  for (const student of data.students) {
    student.text = [student.name, student.who, student.section, ...(student.notes || [])].join(" ").toLowerCase();
  }

  function make(tag, text, attributes = {}) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  const figure = (value) => (value === null || value === undefined ? "?" : String(Math.round(value * 100) / 100));
  const causesOf = (mark) => {  // of each check that fails, by its place
    let next = 0;
    const found = {};
    [...(mark.verdicts || "")].forEach((letter, place) => {
      if ("fv".includes(letter)) found[place] = data.causes[(mark.causes || [])[next++]];
    });
    return found;
  };

  function columnsOf() {
    const made = [{ id: "name", head: "name", value: (student) => student.name }];
    if (data.students.some((student) => student.section)) {
      made.push({ id: "section", head: "section", value: (student) => student.section || "" });
    }
    made.push({ id: "total", head: `total of ${figure(data.most)}`, value: (student) => student.total, number: true });
    data.labs.forEach((info, place) => made.push({
      id: `lab${place}`, head: `lab ${info.number} of ${figure(info.most)}`, title: info.title, number: true,
      value: (student) => student.labs[place].points,
    }));
    if (lab < 0) {
      made.push({ id: "handedIn", head: "handed in", value: (student) => (student.handedIn || "").slice(0, 16).replace("T", " ") });
      return made;
    }
    made.push({ id: "late", head: "days late", number: true, value: (student) => student.labs[lab].late || 0 });
    made.push({ id: "seconds", head: "seconds", number: true, value: (student) => student.labs[lab].seconds || 0 });
    let step = "";
    data.labs[lab].checks.forEach((check, place) => {
      made.push({
        id: `check${place}`, head: `${check.step} ${check.id}`, title: check.title + (check.hidden ? " (hidden)" : ""),
        check: place, hidden: check.hidden, begins: check.step !== step,
        value: (student) => ORDER.indexOf((student.labs[lab].verdicts || "")[place] || "-"),
      });
      step = check.step;
    });
    return made;
  }

  function compare(column, one, other) {
    const [a, b] = [column.value(one), column.value(other)];
    if (a === null || b === null) return (a === null) - (b === null) || byName.compare(one.name, other.name);
    const found = typeof a === "string" ? byName.compare(a, b) : a - b;
    return (order.down ? -found : found) || byName.compare(one.name, other.name);
  }

  function choose() {
    const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = WHICH[$("which").value][1];
    const column = columns.find(({ id }) => id === order.id) || columns[0];
    rows = data.students.filter((student) => {
      const marks = lab < 0 || causes ? student.labs : [student.labs[lab]];
      return words.every((word) => student.text.includes(word)) && marks.some((mark) => wanted(mark, student))
        && (!causes || marks.some((mark) => (mark.causes || []).some((cause) => causes.has(cause))));
    }).sort((one, other) => compare(column, one, other));
    $("count").textContent = `${rows.length} of ${data.students.length}`;
    $("everyone").setAttribute("aria-rowcount", rows.length + 1);
    $("box").scrollTop = 0;
    drawRows(true);
  }

  function drawHead() {
    columns = columnsOf();
    if (!columns.some(({ id }) => id === order.id)) order = { id: "name", down: false };
    $("head").replaceChildren(...columns.map((column) => {
      const head = make("th", undefined, { scope: "col" });
      const button = make("button", column.head, { type: "button", tabindex: column.id === order.id ? 0 : -1, "data-id": column.id });
      if (column.title) button.title = column.title;
      if (column.id === order.id) head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      if (column.check !== undefined) head.classList.add("check");
      head.classList.toggle("hidden", Boolean(column.hidden));
      head.classList.toggle("begins", Boolean(column.begins));
      head.append(button);
      return head;
    }));
  }

  function cell(column, student, causesHere) {
    if (column.check === undefined) {
      const value = column.value(student);
      const element = make("td", column.number ? (value === 0 && /late|seconds/.test(column.id) ? "" : figure(value)) : value);
      if (!column.number) element.style.textAlign = "left";
      const mark = column.id.startsWith("lab") ? student.labs[Number(column.id.slice(3))] : {};
      if (mark.state) element.textContent = mark.state === "nothing" && !mark.byHand ? "–" : element.textContent;
      if (mark.state) element.title = STATE[mark.state];
      return element;
    }
    const letter = (student.labs[lab].verdicts || "")[column.check] || "-";
    const [sign, meaning] = VERDICTS[letter];
    const element = make("td", sign, { class: `verdict ${letter === "-" ? "" : letter}` });
    if (column.begins) element.classList.add("begins");
    element.title = `${student.name}: ${column.head} ${meaning}${causesHere[column.check] ? `: ${causesHere[column.check]}` : ""}`;
    return element;
  }

  function row(student, place) {
    const element = make("tr", undefined, { "aria-rowindex": place + 2 });
    const name = make("th", undefined, { scope: "row" });
    name.append(make("button", student.name, { type: "button", "data-place": place }));
    const causesHere = lab < 0 ? {} : causesOf(student.labs[lab]);
    element.append(name, ...columns.slice(1).map((column) => cell(column, student, causesHere)));
    return element;
  }

  function blank(count) {
    const element = make("tr", undefined, { class: "blank", "aria-hidden": "true" });
    const space = make("td", undefined, { colspan: columns.length });
    space.style.height = `${count * height}px`;
    element.append(space);
    return element;
  }

  function drawRows(anew = false) {
    const box = $("box");
    let first = Math.max(0, Math.floor(box.scrollTop / height) - SPARE);
    let last = Math.min(rows.length, Math.ceil((box.scrollTop + window.innerHeight) / height) + SPARE);
    if (whole || rows.length * columns.length <= CELLS) [first, last] = [0, rows.length];
    if (!anew && Math.abs(first - drawn[0]) < SPARE / 2 && Math.abs(last - drawn[1]) < SPARE / 2) return;
    drawn = [first, last];
    const held = document.activeElement && document.activeElement.dataset.place;
    const made = rows.slice(first, last).map((student, place) => row(student, first + place));
    $("body").replaceChildren(...(first ? [blank(first)] : []), ...made, ...(last < rows.length ? [blank(rows.length - last)] : []));
    if (made.length) height = made[0].offsetHeight || height;
    const again = held !== undefined && $("body").querySelector(`button[data-place="${held}"]`);
    if (again && !anew) again.focus({ preventScroll: true });
  }

  function goTo(place) {
    if (place < 0 || place >= rows.length) return;
    const box = $("box");
    const [top, bottom] = [place * height, place * height + height + $("head").offsetHeight];
    if (top < box.scrollTop) box.scrollTop = top;
    if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
    drawRows();
    $("body").querySelector(`button[data-place="${place}"]`).focus({ preventScroll: true });
  }

  function sortBy(id) {
    order = { id, down: order.id === id && !order.down };
    drawHead();
    choose();
    $("head").querySelector(`[data-id="${id}"]`).focus({ preventScroll: true });
  }

  function tell(student) {
    const dialog = $("one");
    const parts = [make("h3", student.name, { id: "one-name" })];
    parts.push(make("p", [student.who, student.section && `section ${student.section}`,
      student.handedIn && `handed in ${student.handedIn.slice(0, 16).replace("T", " ")}`].filter(Boolean).join("; ")));
    for (const note of student.notes || []) parts.push(make("p", note));
    student.labs.forEach((mark, place) => {
      const info = data.labs[place];
      parts.push(make("h4", `Lab ${info.number}: ${mark.points === null ? "to be decided" : figure(mark.points)} of ${figure(info.most)} points`));
      const told = [STATE[mark.state], mark.reason, mark.late && `days late: ${mark.late}`,
        mark.byHand && `marked by hand: ${mark.byHand}`, ...(mark.notes || [])].filter(Boolean);
      if (told.length) parts.push(make("p", told.join("; ")));
      const found = causesOf(mark);
      const list = make("ul");
      info.checks.forEach((check, number) => {
        const letter = (mark.verdicts || "")[number] || "-";
        if (!"-pb".includes(letter)) {
          const why = found[number] ? `: ${found[number]}` : "";
          list.append(make("li", `${VERDICTS[letter][0]} ${check.step} ${check.title} (${check.id}) It ${VERDICTS[letter][1]}${why}`));
        }
      });
      if (list.children.length) parts.push(list);
      if (mark.results) parts.push(make("a", "all evidence (results.json)", { href: mark.results }));
    });
    const last = make("p");
    if (student.feedback) last.append(make("a", "what the student is told", { href: student.feedback }), " ");
    const close = make("button", "Close", { type: "button", autofocus: "" });
    close.addEventListener("click", () => dialog.close());
    last.append(close);
    dialog.replaceChildren(...parts, last);
    dialog.showModal();
  }

  function onlyCauses(button) {
    const [first, last] = [Number(button.dataset.first), Number(button.dataset.last)];
    causes = new Set(Array.from({ length: last - first + 1 }, (_, number) => first + number));
    $("cause").hidden = false;
    $("cause").textContent = `only: ${data.causes[first]}${last > first ? ", and others" : ""} ✕`;
    $("cause").title = "Show the others, too";
    const student = data.students.find((one) => one.labs.some((mark) => (mark.causes || []).some((cause) => causes.has(cause))));
    if (student) lab = student.labs.findIndex((mark) => (mark.causes || []).some((cause) => causes.has(cause)));
    $("lab").value = lab;
    drawHead();
    choose();
    $("everybody").scrollIntoView();
    $("cause").focus({ preventScroll: true });
  }

  function sortable(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      const button = make("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        const value = ({ cells }) => cells[place].dataset.value ?? cells[place].textContent.trim();
        const sign = down ? -1 : 1;
        const sorted = [...body.rows].sort((one, other) => {
          const [a, b] = [value(one), value(other)];
          return (a === "") - (b === "") || sign * (a - b || byName.compare(a, b));
        });
        for (const { cells } of table.tHead.rows) for (const other of cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        body.append(...sorted);
      });
    });
  }

  for (const [id, [words, wanted]] of Object.entries(WHICH)) {
    const count = data.students.filter((student) => student.labs.some((mark) => wanted(mark, student))).length;
    if (count || id === "all") $("which").append(make("option", `${words} (${count})`, { value: id }));
  }
  data.labs.forEach((info, place) => $("lab").append(make("option", `lab ${info.number}: ${info.title}`, { value: place })));
  $("lab").append(make("option", "no lab: marks only", { value: -1 }));
  for (const [letter, [sign, meaning]] of Object.entries(VERDICTS)) {
    if (!sign) continue;
    const pair = make("span");
    pair.append(make("i", sign, { class: letter }), meaning);
    $("legend").append(pair);
  }

  $("find").addEventListener("input", choose);
  $("which").addEventListener("change", choose);
  $("lab").addEventListener("change", () => { lab = Number($("lab").value); drawHead(); choose(); });
  $("cause").addEventListener("click", () => { causes = null; $("cause").hidden = true; choose(); $("find").focus(); });
  $("head").addEventListener("click", ({ target }) => { if (target.dataset.id) sortBy(target.dataset.id); });
  $("head").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step && columns[columns.findIndex(({ id }) => id === event.target.dataset.id) + step];
    if (event.key === "ArrowDown") goTo(0);
    else if (!next) return;
    else $("head").querySelector(`[data-id="${next.id}"]`).focus();
    event.preventDefault();
  });
  $("body").addEventListener("click", ({ target }) => { if (target.dataset.place) tell(rows[Number(target.dataset.place)]); });
  $("body").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity }[event.key];
    if (!step || event.target.dataset.place === undefined) return;
    goTo(Math.min(rows.length - 1, Math.max(0, Number(event.target.dataset.place) + step)));
    event.preventDefault();
  });
  $("box").addEventListener("scroll", () => requestAnimationFrame(() => drawRows()), { passive: true });
  window.addEventListener("resize", () => drawRows());
  window.addEventListener("beforeprint", () => { whole = true; drawRows(true); });
  window.addEventListener("afterprint", () => { whole = false; drawRows(true); });
  for (const button of document.querySelectorAll("button.show")) {
    button.hidden = false;
    button.addEventListener("click", () => onlyCauses(button));
  }
  document.querySelectorAll("table.sortable").forEach(sortable);

  $("table").hidden = false;
  $("lab").value = 0;
  drawHead();
  choose();
})();
