// What a person sees: the picture with its boxes, the words beside it, buttons, and what is not saved yet.

const SVG = "http://www.w3.org/2000/svg";
const BUTTONS = [
  ["accept", "Accept", "main"],
  ["skip", "Skip", ""],
  ["previous", "Previous", ""],
  ["next", "Next", ""],
  ["unfinished", "Next unfinished", ""],
  ["undo", "Undo", ""],
  ["redo", "Redo", ""],
  ["add", "Add a word", ""],
  ["comment", "Comment", ""],
  ["box", "Draw a box", ""],
  ["overlay", "Boxes", ""],
  ["sheet", "Keys", ""],
];

const drawn = (tag, attributes) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

class View {
  constructor(annotator) {
    this.annotator = annotator;
    this.hidden = false;
    this.drawing = false;
    this.frame = element("div", { className: "frame" });
    this.overlay = drawn("svg", { class: "overlay", "aria-hidden": "true", preserveAspectRatio: "none" });
    this.stage = element("div", { className: "stage", tabIndex: 0, role: "img" }, this.frame);
    this.list = element("div", { className: "words", role: "group", "aria-label": "Words" });
    this.form = element("form", { className: "field", hidden: true, autocomplete: "off" });
    this.heading = element("p", { className: "heading" });
    this.status = element("p", { className: "status", role: "status" });
    this.news = element("p", { className: "news", role: "status" });
    this.dialog = element("dialog", { "aria-labelledby": "sheet-title" });
    this.buttons = element("div", { className: "buttons", role: "toolbar", "aria-label": "Annotating" });
    for (const [action, title, kind] of BUTTONS) {
      const button = element("button", { type: "button", className: kind, "data-action": action }, title);
      button.onclick = (event) => {
        annotator.act(action);
        if (event.detail) button.blur(); // after a click keys mean the picture again, not this button
      };
      this.buttons.append(button);
    }
    const side = element("div", { className: "side" }, this.heading, this.list, this.form, this.news);
    annotator.root.replaceChildren(
      element("div", { className: "panes" }, this.stage, side), this.buttons, this.status, this.dialog,
    );
    this.#listenToBoxes();
  }

  draw() {
    const { card } = this.annotator;
    if (card !== this.shownCard) this.#drawPicture(card);
    this.#drawWords();
    this.#drawOverlay();
    this.#drawButtons();
    this.drawStatus();
  }

  // Record how long the next picture took from the key to the frame that shows it, by the browser's own clock.
  measure(started) {
    const { card } = this.annotator;
    if (!card) return;
    card.ready.then(() =>
      requestAnimationFrame(() =>
        setTimeout(() => performance.measure("odits-next-picture", { start: started, end: performance.now() })),
      ),
    );
  }

  #drawPicture(card) {
    this.shownCard = card;
    this.drawing = false;
    if (!card) {
      this.frame.replaceChildren(element("p", { className: "waiting", textContent: "Loading the picture …" }));
      return;
    }
    if (card.problem) {
      this.frame.replaceChildren(element("p", { className: "waiting", textContent: card.problem }));
      return;
    }
    this.overlay.setAttribute("viewBox", `0 0 ${card.width} ${card.height}`);
    this.frame.style.setProperty("--shape", card.width / card.height);
    this.frame.replaceChildren(card.image, this.overlay);
    this.stage.setAttribute("aria-label", `The picture ${card.shown}`);
  }

  #drawWords() {
    const { annotator } = this;
    const { data } = annotator;
    const words = annotator.words;
    annotator.row = Math.max(0, Math.min(annotator.row, words.length - 1));
    const unsaved = new Set(annotator.outbox.of(annotator.name).flatMap((entry) => Object.keys(entry.after)));
    const rows = words.map((one, place) => this.#row(one, place, unsaved.has(one.about.word), data.mode));
    if (!rows.length) {
      const empty = data.mode === "typed" ? "Type the words that stand in the picture (A)." : "No word was found here.";
      rows.push(element("p", { className: "hint", textContent: annotator.card ? empty : "" }));
    }
    this.list.replaceChildren(...rows);
    const place = annotator.queue.names.length ? `${annotator.at + 1} of ${annotator.queue.names.length}` : "";
    this.heading.replaceChildren(
      element("b", { textContent: annotator.card?.shown ?? "" }), element("span", { textContent: place }),
    );
    this.news.textContent = annotator.said || (this.drawing ? this.#drawingHint(words) : "");
  }

  #drawingHint(words) {
    const word = words[this.annotator.row]?.about.word;
    return word ? `Draw a box around “${word}”, or go on without one (Esc).` : "";
  }

  #row(one, place, unsaved, mode) {
    const { annotator } = this;
    const { about, mark, verdict } = one;
    const chosen = place === annotator.row;
    const row = element("div", { className: `word ${verdict ?? "open"} ${mark ? "given" : "proposed"}${chosen ? " chosen" : ""}` });
    row.dataset.word = about.word;
    row.dataset.verdict = verdict ?? "";
    const said = verdict ? `${VERDICTS[verdict][1]}${mark ? "" : ", proposed"}` : "no verdict";
    const name = element(
      "button", { type: "button", className: "name", "aria-pressed": String(chosen) },
      element("kbd", { textContent: place < 10 ? (place + 1) % 10 : "" }),
      element("span", { className: "text", textContent: about.shown ?? about.word }),
      element("span", { className: "share", textContent: mode === "open" ? (about.share ?? "") : "" }),
      element("span", { className: "said", textContent: said }),
    );
    name.onclick = (event) => {
      annotator.row = place;
      this.draw();
      if (event.detail === 0) this.list.children[place]?.querySelector(".name").focus();
    };
    row.append(name);
    for (const key of ["right", "wrong", "unsure"]) {
      const given = verdict === key;
      const button = element("button", { type: "button", className: `verdict ${key}`, textContent: VERDICTS[key][0], title: VERDICTS[key][1] });
      button.setAttribute("aria-label", `${about.word}: ${VERDICTS[key][1]}`);
      button.setAttribute("aria-pressed", String(given));
      button.onclick = (event) => {
        annotator.judge(place, given && mark ? null : key);
        this.draw();
        if (event.detail === 0) this.list.children[place]?.querySelector(`.verdict.${key}`)?.focus();
      };
      row.append(button);
    }
    if (mark?.verdict === "skipped") row.append(element("span", { className: "note", textContent: "skipped" }));
    if (mark?.note) row.append(element("span", { className: "note", textContent: mark.note }));
    if (unsaved) row.append(element("span", { className: "unsaved", textContent: "not saved yet" }));
    return row;
  }

  #drawOverlay() {
    const { annotator } = this;
    const shapes = [];
    const words = annotator.words;
    words.forEach(({ about, box, verdict }, place) => {
      const outline = box ? cornersOf(box) : annotator.data.mode === "typed" ? null : about.outline;
      if (this.hidden || !outline) return;
      const chosen = place === annotator.row;
      const points = outline.map((point) => point.join(",")).join(" ");
      const group = drawn("g", { class: `place ${verdict ?? "open"}${chosen ? " chosen" : ""}` });
      group.append(drawn("polygon", { points, class: "halo" }), drawn("polygon", { points }));
      const size = annotator.card.width / 45;
      const [x, y] = outline.reduce((best, point) => (point[0] + point[1] < best[0] + best[1] ? point : best));
      const label = drawn("text", { x, y: Math.max(size, y - size / 5), "font-size": size });
      label.textContent = place < 10 ? String((place + 1) % 10) : "";
      group.append(label);
      group.addEventListener("click", () => {
        annotator.row = place;
        this.draw();
      });
      shapes[chosen ? "push" : "unshift"](group);
    });
    if (this.draft) shapes.push(drawn("rect", { class: "draft", ...this.draft }));
    this.overlay.replaceChildren(...shapes);
    this.stage.classList.toggle("drawing", this.drawing);
  }

  #drawButtons() {
    const { annotator } = this;
    for (const button of this.buttons.children) {
      const { action } = button.dataset;
      const key = annotator.keys.of(action)[0];
      button.title = key ? `Key: ${shownKey(key)}` : "";
      if (action === "accept") button.textContent = annotator.data.mode === "open" ? "Accept" : "Done";
      if (action === "undo") button.disabled = !annotator.past.done.length;
      if (action === "redo") button.disabled = !annotator.past.undone.length;
      if (action === "overlay") button.setAttribute("aria-pressed", String(!this.hidden));
      if (action === "box") button.setAttribute("aria-pressed", String(this.drawing));
    }
  }

  drawStatus() {
    const { annotator } = this;
    const { queue, outbox } = annotator;
    const done = queue.done.filter(Boolean).length;
    const marks = outbox.marks;
    let saved = marks ? `${count(marks, "mark")} not saved yet` : "all saved";
    if (marks && annotator.late) saved += ": the server does not answer. Go on: they are kept in this browser";
    if (marks && !outbox.kept) saved += "; this browser keeps nothing, so a reload would lose them";
    const text = `${done} of ${queue.names.length} pictures${annotator.pace} · ${saved}`;
    const refused = [...new Set(annotator.refused.values())];
    const state = `${text}|${refused}|${annotator.remarks}`;
    this.annotator.root.dataset.unsaved = marks;
    if (state === this.shownStatus) return;
    this.shownStatus = state;
    this.status.className = `status${marks && (annotator.late || refused.length) ? " late" : ""}`;
    this.status.replaceChildren(element("progress", { value: done, max: queue.names.length || 1, "aria-label": "Pictures done" }), text);
    for (const sentence of [...refused, ...annotator.remarks]) {
      this.status.append(element("span", { className: "refused", role: "alert", textContent: sentence }));
    }
    if (refused.length) {
      const again = element("button", { type: "button", textContent: "Try again" });
      again.onclick = () => annotator.send();
      const leave = element("button", { type: "button", textContent: "Give these marks up" });
      leave.onclick = () => {
        annotator.dismissRefused();
        this.draw();
      };
      this.status.append(again, leave);
    }
  }

  openSheet() {
    drawSheet(this.dialog, this.annotator.keys, () => this.openSheet());
    if (!this.dialog.open) this.dialog.showModal();
  }

  // Fields: a word to add with suggestions; a comment; the box of a word in numbers.

  openField(kind) {
    const { annotator } = this;
    const one = annotator.words[annotator.row];
    if (kind === "comment" && !one) return;
    const label = kind === "add" ? "Add a word" : `Comment on ${one.about.word}`;
    const input = element("input", { type: "text", maxLength: kind === "add" ? 200 : 1000, "aria-label": label });
    input.placeholder = label;
    input.value = kind === "add" ? "" : (one.mark?.note ?? "");
    const found = element("div", { className: "suggestions", role: "listbox", "aria-label": "Suggestions" });
    let chosen = -1;
    const suggest = () => {
      const start = input.value.trim().toLowerCase();
      const fits = (word) => word.toLowerCase().startsWith(start);
      const words = [...(annotator.card?.lexicon ?? []), ...annotator.suggestions.words];
      const some = start && kind === "add" ? [...new Set(words.filter(fits))].slice(0, 6) : [];
      chosen = -1;
      found.replaceChildren(...some.map((word) => {
        const option = element("div", { className: "option", role: "option", textContent: word });
        option.onpointerdown = (event) => {
          event.preventDefault();
          input.value = word;
          this.form.requestSubmit();
        };
        return option;
      }));
    };
    input.oninput = suggest;
    input.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key === "Escape") {
        event.preventDefault();
        this.closeField();
      } else if (["ArrowDown", "ArrowUp"].includes(event.key) && found.children.length) {
        event.preventDefault();
        chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + found.children.length) % found.children.length;
        [...found.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === chosen)));
        input.value = found.children[chosen].textContent;
      }
    };
    const go = element("button", { type: "submit", textContent: kind === "add" ? "Add" : "Keep" });
    const parts = [input, go];
    if (kind === "comment") parts.push(this.#boxField(one));
    this.form.replaceChildren(...parts, found);
    this.form.onsubmit = (event) => {
      event.preventDefault();
      if (kind === "add") annotator.add(input.value);
      else annotator.comment(input.value.trim());
      this.closeField();
      this.draw();
    };
    this.form.hidden = false;
    input.focus();
  }

  #boxField(one) {
    const outline = one.box ?? (one.about.outline ? boxOf(one.about.outline) : null);
    const input = element("input", { type: "text", placeholder: "box: left top width height", className: "numbers" });
    input.setAttribute("aria-label", "Box in pixels: left, top, width, height");
    input.value = outline ? outline.map((value) => Math.round(value)).join(" ") : "";
    input.onkeydown = (event) => event.stopPropagation();
    input.onchange = () => {
      this.annotator.place(input.value.trim().split(/[\s,;]+/).map(Number));
      this.draw();
    };
    return input;
  }

  closeField() {
    const hadFocus = this.form.contains(this.form.getRootNode().activeElement);
    this.form.hidden = true;
    this.form.replaceChildren();
    if (hadFocus) this.stage.focus({ preventScroll: true });
  }

  // Boxes are drawn with mouse, pen or finger.

  #listenToBoxes() {
    const { annotator } = this;
    const point = (event) => {
      const { left, top, width, height } = this.frame.getBoundingClientRect();
      const { card } = annotator;
      return [((event.clientX - left) / width) * card.width, ((event.clientY - top) / height) * card.height];
    };
    let from = null;
    this.frame.addEventListener("pointerdown", (event) => {
      if (!this.drawing || !annotator.card) return;
      event.preventDefault();
      from = point(event);
      this.frame.setPointerCapture(event.pointerId);
    });
    this.frame.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = point(event);
      const [x, y] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
      this.draft = { x, y, width: Math.abs(to[0] - from[0]), height: Math.abs(to[1] - from[1]) };
      this.#drawOverlay();
    });
    this.frame.addEventListener("pointerup", () => {
      if (!from) return;
      const { draft } = this;
      [from, this.draft] = [null, null];
      if (draft && draft.width > 3 && draft.height > 3) {
        this.drawing = false;
        annotator.place([draft.x, draft.y, draft.width, draft.height]);
      }
      this.draw();
    });
  }
}

const cornersOf = ([left, top, width, height]) => [
  [left, top], [left + width, top], [left + width, top + height], [left, top + height],
];

const boxOf = (outline) => {
  const [xs, ys] = [outline.map(([x]) => x), outline.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)];
};
